"""When something runs by itself: cron expressions of five fields, in UTC."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from services.catalog.entities.faults import Faults

FIELDS = 5
MAX_SCHEDULE = 100
ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def schedule_faults(schedule: str | None) -> Faults:
    """What is wrong with an expression; None passes."""
    if schedule is None:
        return {}
    if len(schedule) > MAX_SCHEDULE or len(schedule.split()) != FIELDS:
        return {"schedule": 'must be a cron expression of five fields, e.g. "0 6 * * 1-5"'}
    try:
        next(CronSim(schedule, ANY_TIME))
    except CronSimError as fault:
        return {"schedule": f"must be a cron expression: {fault}"}
    except StopIteration:
        return {"schedule": "names a time that never comes"}
    return {}
