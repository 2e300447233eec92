"""`./dev demo`: from one delivery to a closed month, over HTTP, with the tokens of the people whose work it is."""

from __future__ import annotations

import argparse
import os
import sys

import httpx

from tools.demo import car, care, complaint, lists, mistakes, month
from tools.demo.client import Refused
from tools.demo.story import Story


def tell(story: Story) -> None:
    """Everything, in order."""
    story.open_store()
    delivery = story.deliver("王小明")
    care.follow_ups(story, delivery)
    lists.bring_list(story, delivery)
    car.warranty(story, delivery)
    care.attempt(story, delivery)
    care.key_in_survey(story, delivery)
    complaint.walk(story, complaint.answer_by_link(story))
    care.correct_and_cancel(story)
    lists.hand_over(story)
    car.first_service(story, delivery)
    month.grade(story)
    month.close(story)
    mistakes.refused(story, delivery)
    mistakes.audit(story)
    story.console.print(f"\n[bold]That was the loop.[/] Look around: {story.base_url}/docs")


def main() -> None:
    """Tells the story against a running system.

    Exits with 1 and one line when the system is not there or does not do what the story says.
    """
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--url", default=f"http://127.0.0.1:{os.environ.get('DEALERLOOP_PORT', '8080')}")
    arguments = parser.parse_args()
    password = os.environ.get("DEALERLOOP_ADMIN_PASSWORD", "")
    try:
        tell(Story(arguments.url, password))
    except httpx.TransportError as error:
        sys.exit(f"nothing answers at {arguments.url} ({error}); start it with ./dev up")
    except (Refused, TimeoutError) as error:
        sys.exit(f"the story broke off: {error}")


if __name__ == "__main__":
    main()
