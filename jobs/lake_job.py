"""spark-submit jobs/lake_job.py runs|drop|report|plan --config C [...]: the commands that are no stage."""

from synthspark.jobs import main

if __name__ == "__main__":
    main()
