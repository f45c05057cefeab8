"""spark-submit jobs/evaluate_job.py --config C [--run-id R] [--set key=value ...]."""

from synthspark.jobs import main

if __name__ == "__main__":
    main("evaluate")
