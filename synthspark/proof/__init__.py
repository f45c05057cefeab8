"""What virtual events are worth: protocols, arms and controls, judged by plain ALS."""
