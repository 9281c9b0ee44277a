"""Every topic: who publishes it, what it carries, who must hear it. Numbers are dense per topic."""

from dataclasses import dataclass

from google.protobuf.message import Message

from assay.catalog.internal.v1 import events_pb2 as catalog_events
from assay.runner.internal.v1 import events_pb2 as runner_events
from assay.scoring.internal.v1 import events_pb2 as scoring_events

WORK = "WORK"
EVENTS = "EVENTS"


@dataclass(frozen=True)
class Topic:
    """One kind of event. `consumers` are the services whose inbox must see every number before a row may be deleted."""

    name: str
    message: type[Message]
    consumers: tuple[str, ...] = ()
    stream: str = EVENTS

    @property
    def producer(self) -> str:
        """The service that publishes it."""
        return self.name.partition(".")[0]

    @property
    def subject(self) -> str:
        """Its NATS subject."""
        return f"assay.{self.stream.lower()}.{self.name}"


SUBJECT_DELETED = Topic("catalog.subject_deleted", catalog_events.SubjectDeleted, ("runner", "reporting"))
SCHEDULE_SET = Topic("catalog.schedule_set", catalog_events.ScheduleSet, ("runner",))
RUN_STARTED = Topic("runner.run_started", runner_events.RunStarted, ("reporting",))
# Tickets are rows of the runner, which issues them again itself: nobody keeps an inbox of them.
TICKETS = Topic("runner.tickets", runner_events.Ticket, stream=WORK)
CASES_EXECUTED = Topic("runner.cases_executed", runner_events.CasesExecuted, ("scoring",))
RUN_FINISHED = Topic("runner.run_finished", runner_events.RunFinished, ("reporting", "catalog"))
RUN_DELETED = Topic("runner.run_deleted", runner_events.RunDeleted, ("reporting", "scoring"))
CASES_SCORED = Topic("scoring.cases_scored", scoring_events.CasesScored, ("runner", "reporting"))

TOPICS = {
    topic.name: topic
    for topic in (SUBJECT_DELETED, SCHEDULE_SET, RUN_STARTED, TICKETS, CASES_EXECUTED, RUN_FINISHED, RUN_DELETED, CASES_SCORED)
}


def published_by(service: str) -> tuple[Topic, ...]:
    """The topics of a producer."""
    return tuple(topic for topic in TOPICS.values() if topic.producer == service)


def heard_by(service: str) -> tuple[Topic, ...]:
    """The topics that a service must hear."""
    return tuple(topic for topic in TOPICS.values() if service in topic.consumers)
