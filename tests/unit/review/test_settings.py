"""The file of reviews: what it takes, and what it says of what it does not."""

from pathlib import Path

import pytest

from keeprate.deploy.review.settings import RULES, ReviewSettings, read
from keeprate.producers.errors import SettingsError
from keeprate.sinks.reading.voices import Scale

DOCUMENT = Path(__file__).parents[3] / "docs" / "review.md"


def test_without_a_file_there_is_a_queue_for_each_rule() -> None:
    """Whoever configures nothing has something to do."""
    assert [queue.rule for queue in read(None).queues] == list(RULES)


def test_the_example_of_the_docs_is_one(tmp_path: Path) -> None:
    """What docs/review.md shows can be used as it stands."""
    path = tmp_path / "review.toml"
    path.write_text(DOCUMENT.read_text("utf-8").split("```toml\n")[1].split("```")[0])
    said = read(path)
    assert [queue.name for queue in said.queues] == ["contracts", "sample"]
    assert said.scales.by_name["groundedness"] == Scale((), (), 0.7)
    assert said.send is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reservation_min = 0", "reservation_min"),
        ('[[queues]]\nname = "a"\ntitle = "A"\nrule = "best"', "queues.0.rule.*flagged"),
        ('[[queues]]\nname = "a"\ntitle = "A"\nrule = "random"\nreviewer = 2', "queues.0.reviewer"),
        ('[[labels]]\nname = "x"\ntitle = "X"\n[[labels]]\nname = "x"\ntitle = "X"', "labels: x is there twice"),
        ('[[questions]]\nname = "x"\ntitle = "X"\nanswers = ["a", "withdrawn"]', "withdrawn"),
        ('[[questions]]\nname = "expert_vote"\ntitle = "X"\nanswers = ["a", "b"]', "take another one"),
        ("queues = [", "not TOML"),
    ],
)
def test_a_mistake_is_named(text: str, says: str, tmp_path: Path) -> None:
    """The file, the place in it, and what is wrong there."""
    path = tmp_path / "review.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says) as error:
        read(path)
    assert "review.toml" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nobody reviews by the defaults for a typing error in a path."""
    with pytest.raises(SettingsError, match="No such file"):
        read(tmp_path / "none.toml")


def test_settings_of_two_processes_are_alike() -> None:
    """They are values: equal where they say the same."""
    assert ReviewSettings() == ReviewSettings()
