"""spark-submit jobs/apply_job.py --config C --models RUN [--run-id R] [--recommend] [--set key=value ...]."""

from synthspark.jobs import main

if __name__ == "__main__":
    main("apply")
