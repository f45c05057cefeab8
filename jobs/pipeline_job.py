"""spark-submit jobs/pipeline_job.py --config C [--run-id R] [--set key=value ...] [--resume R]."""

from synthspark.jobs import main

if __name__ == "__main__":
    main("run")
