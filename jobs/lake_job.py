"""spark-submit jobs/lake_job.py runs|drop|report|plan --config C [...]: commands other than stages."""

from synthspark.jobs import main

if __name__ == "__main__":
    main()
