import os

import work
from celery import Celery

celery = Celery("jobs", broker=os.environ["REDIS_URL"])
celery.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # by default it looks for what has been kept too long every 100 s
    broker_transport_options={"visibility_timeout": 10, "unacked_restore_interval": 1, "unacked_restore_throttle": 1},
)


@celery.task
def job(number, seconds):
    work.do(number, seconds)


enqueue = job.delay
