import os

import work
from huey import RedisHuey

huey = RedisHuey("jobs", url=os.environ["REDIS_URL"])


@huey.task()
def enqueue(number, seconds):
    work.do(number, seconds)
