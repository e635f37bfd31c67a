"""What a comparison finds: one JSON object, `moderate diff --json`.

Names are stable within `diff/1`; no field is ever missing, what does not apply is null or empty. Shares,
probabilities and p-values go from 0 to 1, rounded to six decimals; left is the old side, right the new one, and every
change is right minus left. The JSON Schema is what
`python -c "from worker.commands.diff.compare.report import Report; print(Report.model_json_schema())"` prints.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from schemas import Source

# Six decimals: sums over millions of posts agree to more digits than that, in whatever order they are added.
Number = Annotated[float, PlainSerializer(lambda value: round(value, 6) + 0.0)]
Chance = Annotated[float, PlainSerializer(lambda value: float(f"{value:.4g}"))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Part):
    """A figure with its 95 % interval."""

    value: Number
    low: Number
    high: Number
    method: Literal["bootstrap", "exact"] = Field(
        "bootstrap",
        description="percentiles over posts drawn with replacement; exact (Clopper-Pearson) where no post flipped, or "
        "all, and every such draw would be the same",
    )


class RateTest(_Part):
    """A test of the hypothesis that the two sides' rates are the same."""

    name: Literal["mcnemar", "stuart-maxwell", "bowker"] = Field(
        description="mcnemar: as many flips one way as the other (two classes, exact binomial); stuart-maxwell: each "
        "class is said as often by both sides; bowker: flips from a to b are as many as from b to a, for all a, b"
    )
    statistic: Number | None = Field(description="chi-squared; null where the test is exact")
    degrees_of_freedom: int | None
    p: Chance


class Histogram(_Part):
    """Posts by score; `edges` has one more entry than `left` and `right`, the last bin has its upper edge too."""

    edges: list[Number]
    left: list[int]
    right: list[int]


class ChangeHistogram(_Part):
    """Posts by the change of a score, from -1 to 1; `edges` has one more entry than `posts`."""

    edges: list[Number]
    posts: list[int]


class Scores(_Part):
    """How the scores of one class moved: its probability, post by post."""

    left_mean: Number
    right_mean: Number
    mean_change: Estimate
    quantiles: dict[str, Number] = Field(description="of the change of a post: 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99")
    wasserstein: Number = Field(description="distance of the two distributions, in units of probability")
    psi: Number = Field(description="population stability index over the left's deciles; over 0.25 is a large shift")
    histogram: Histogram
    change_histogram: ChangeHistogram


class ClassShift(_Part):
    """One class against all others."""

    name: str
    left: int = Field(description="posts that have this label on the left")
    right: int = Field(description="posts that have this label on the right")
    change: Estimate = Field(description="of the class's share of the posts")
    gained: int = Field(description="posts that have it on the right only")
    lost: int = Field(description="posts that have it on the left only")
    p: Chance = Field(description="McNemar, exact: gained as many as lost")
    p_holm: Chance = Field(description="corrected for the number of classes of the task")
    scores: Scores


class AgreementBin(_Part):
    """Posts to whose labels the left gives about the same probability."""

    since: Number
    until: Number
    posts: int
    confidence: Number = Field(description="the left's mean probability of its label")
    agrees: Number = Field(description="share of the posts to which the right gives the same label")
    right_probability: Number = Field(description="the right's mean probability of the left's label")


class Confidence(_Part):
    """How confident the sides are: the mean probability of the label that each gave."""

    left: Number
    right: Number
    change: Estimate


class ReliabilityBin(_Part):
    """Posts with a known answer, to whose labels a side gives about the same probability."""

    since: Number
    until: Number
    posts: int
    confidence: Number
    accuracy: Number


class Truth(_Part):
    """Both sides against known answers."""

    posts: int
    left_accuracy: Estimate
    right_accuracy: Estimate
    accuracy_change: Estimate
    only_left_right: int = Field(description="posts on which only the left has the known answer")
    only_right_right: int = Field(description="posts on which only the right has the known answer")
    p: Chance = Field(description="McNemar, exact: the two sides are as accurate as each other")
    left_ece: Estimate = Field(description="expected calibration error, ten bins of confidence")
    right_ece: Estimate
    ece_change: Estimate
    left_reliability: list[ReliabilityBin]
    right_reliability: list[ReliabilityBin]


class Segment(_Part):
    """The posts of one community, language, modality or length."""

    by: Literal["community", "language", "modality", "length"]
    value: str | None = Field(description="null: posts without one, or all rare values together (see `merged`)")
    merged: int = Field(description="how many values too rare to list are counted together here; 0 for one value")
    posts: int
    flips: int
    share: Estimate
    changes: dict[str, Number] = Field(description="of each class's share of these posts")
    claimed: bool = Field(description="whether there are posts enough (30) for the tests below; else they are null")
    above: bool = Field(description="whether they flip more often than the other posts")
    p_elsewhere: Chance | None = Field(description="flips are as frequent here as among the other posts (Fisher, chi2)")
    p_elsewhere_holm: Chance | None = Field(description="corrected for all segments of all tasks")
    p_direction: Chance | None = Field(description="McNemar or Stuart-Maxwell among these posts")
    p_direction_holm: Chance | None = Field(description="corrected for all segments of all tasks")


class Comparison(_Part):
    """One task, or the intensity of one."""

    posts: int = Field(description="posts with an answer on both sides")
    left_only: int = Field(description="posts with an answer on the left only")
    right_only: int
    classes: list[str]
    matrix: list[list[int]] = Field(description="posts by the left's class (row) and the right's (column)")
    flips: int
    share: Estimate
    mean_distance: Number = Field(description="mean total variation distance between a post's two answers")
    tests: list[RateTest]
    by_class: list[ClassShift]
    confidence: Confidence
    agreement: list[AgreementBin]
    truth: Truth | None
    slices: list[Segment] = Field(description="segments of the posts; empty for intensities")


class Answer(_Part):
    """One side's answer to a post."""

    label: str
    probabilities: dict[str, Number]


class Explanations(_Part):
    """What `mmorient explain --json` says of the post, with each side's model; null where it cannot."""

    left: dict[str, Any] | None
    right: dict[str, Any] | None


class Moved(_Part):
    """A post whose answer moved far, by the task that moved most."""

    post_id: str
    source: Source | None
    task: str
    distance: Number = Field(description="total variation between the two answers, 0 to 1")
    flipped: bool
    left: Answer
    right: Answer
    other_flips: list[str] = Field(description="other tasks in which the post flips")
    text: str | None = Field(description="its first 1,000 characters; null where the post is not known or has none")
    community: str | None
    language: str | None
    explanations: Explanations | None = Field(description="null unless asked for")


class ModelShare(_Part):
    """Labels of one model in one setting; all null where labels name none."""

    name: str | None
    checkpoint: str | None
    graph_context: str | None
    precision: str | None
    labels: int


class Range(_Part):
    """What was read of a partition: offsets from `since` to before `until`; `gone` ones were no longer there."""

    topic: str
    partition: int
    since: int
    until: int
    gone: int


class Side(_Part):
    """What was read of one side."""

    name: str
    kind: Literal["topic", "file"]
    members: list[str] = Field(description="topics or files")
    checkpoint: str | None = Field(description="the prefix that labels were selected by")
    records: int
    labels: int = Field(description="answers in them, one for each task (its intensity included)")
    repeats: int = Field(description="answers that are not compared, as the same post and task has a later one")
    unreadable: int
    unreadable_first: list[str]
    models: list[ModelShare]
    thresholds: dict[str, list[float | None]] = Field(
        description="by task, operators' thresholds that labels follow; null stands for labels without one; no task "
        "where no label has one"
    )
    ranges: list[Range]
    tasks: list[str]


class Posts(_Part):
    """The posts of both sides."""

    joined: int = Field(description="posts with any label on both sides")
    left_only: int
    right_only: int
    left_only_first: list[str]
    right_only_first: list[str]
    described: int | None = Field(description="joined posts that were found among the posts; null: posts were not read")


class DecisionChange(_Part):
    """A decision, and how many posts have it on each side."""

    name: str
    left: int
    right: int
    gained: int = Field(description="posts that have it on the right only")
    lost: int = Field(description="posts that have it on the left only")
    p: Chance = Field(description="McNemar, exact: gained as many as lost")


class ChangedDecision(_Part):
    """A post whose decisions differ."""

    post_id: str
    source: Source | None
    community: str | None
    left: list[str]
    right: list[str]


class Decisions(_Part):
    """The decisions that each side's labels lead to under its policy."""

    left_policy: str = Field(description="version")
    right_policy: str
    posts: int
    changed: int = Field(description="posts whose decisions differ")
    by_decision: list[DecisionChange]
    first: list[ChangedDecision] = Field(description="the first of the posts that change, as many as --moved allows")


class FailOver(_Part):
    """The limits of `--fail-over` by task, and the shares that exceed theirs."""

    limits: dict[str, Number]
    exceeded: dict[str, Number]


class Report(_Part):
    """A comparison."""

    schema_: Literal["diff/1"] = Field("diff/1", alias="schema", serialization_alias="schema")
    verdict: str
    notices: list[str] = Field(description="what a reader should know before trusting the figures")
    left: Side
    right: Side
    joined_by: Literal["source", "post_id"]
    posts: Posts
    tasks: dict[str, Comparison]
    intensities: dict[str, Comparison] = Field(description="by task")
    moved: list[Moved]
    decisions: Decisions | None = Field(description="null without --policies")
    fail_over: FailOver | None

    def json_text(self) -> str:
        """Return the object as `--json` prints it."""
        return self.model_dump_json(by_alias=True)
