"""Which score a section shows: the accuracy, or of text, and where a search went by it, the log loss."""

from dataclasses import dataclass

from laser_lit.report.search import in_points
from laser_lit.report.wording import interval, p_value, signed, value
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record
from laser_lit.results.scored import Scored


@dataclass(frozen=True)
class ScoreAxis:
    """A score and its gains.

    Attributes:
        share: whether it is the accuracy.
    """

    share: bool

    @classmethod
    def of(cls, record: Record) -> "ScoreAxis":
        """Returns the score of the gain that counts.

        Args:
            record: of the run.
        """
        return cls(in_points(record))

    @property
    def title(self) -> str:
        """Of an axis."""
        return "accuracy, %" if self.share else "log loss, nats"

    @property
    def unit(self) -> str:
        """Of gains."""
        return "points" if self.share else "nats"

    @property
    def heading(self) -> str:
        """Of a column."""
        return "accuracy" if self.share else "log loss"

    def plotted(self, accuracy: float | None, log_loss: float | None) -> float | None:
        """Returns the number on the axis: percent, or nats."""
        if self.share:
            return None if accuracy is None else round(100 * accuracy, 3)
        return None if log_loss is None else round(log_loss, 5)

    def score(self, scored: Scored) -> str:
        """Returns the score in words."""
        return value(scored.accuracy if self.share else scored.log_loss, self.share)

    def size(self, gain: Gain) -> float | None:
        """Returns the gain, positive where better."""
        return gain.accuracy if self.share else gain.log_loss

    def bounds(self, gain: Gain) -> tuple[float, float] | None:
        """Returns the 95 % interval of the gain."""
        return gain.ci95 if self.share else gain.log_loss_ci95

    def gain(self, gain: Gain | None) -> str:
        """Returns a gain with its interval for a table: "+26.2 (+23.7 to +28.8)"; "" where there is none."""
        size = None if gain is None else self.size(gain)
        if gain is None or size is None:
            return ""
        return f"{signed(size, self.share)} ({interval(self.bounds(gain), self.share)})"

    def said(self, gain: Gain) -> str:
        """Returns a gain for a sentence: "+26.2 points (95 % interval +23.7 to +28.8, p = 1e-5)"."""
        size, p = self.size(gain), gain.p if self.share else gain.log_loss_p
        if size is None:
            return "unknown"
        return (
            f"{signed(size, self.share)} {self.unit} (95 % interval {interval(self.bounds(gain), self.share)}, "
            f"{p_value(p)})"
        )
