"""What people do with label packs: teach, compare, mute, move, take home, go back.

One class for all of it, trainings (`teaching`) among it; the rest of the work is done in rooms of
its own: `pack_facts`, `lane_steps`, `lane_travel`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from backend import lane_steps, lane_travel, pack_facts
from backend.lane_steps import TeachReport
from backend.pack_facts import MUTED, TAUGHT, CurvePoint, PackInfo, VersionChange
from backend.teaching import Teaching


class Packs(Teaching):
    """The packs of one open project."""

    # --- look --------------------------------------------------------------------------------

    def list(self) -> list[PackInfo]:
        """All packs with labels, in the order of their first labels."""
        return pack_facts.listed(self._bench)

    def muted(self) -> frozenset[str]:
        """Packs whose labels are not suggested."""
        return pack_facts.muted(self._bench.store)

    def curve(self, *, most: int = 60, only: Collection[int] | None = None) -> list[CurvePoint]:
        """Held-back mAP of the versions whose files are kept, the newest `most` of them.

        All are scored on today's held-back verdicts, so that points can be compared.
        """
        return pack_facts.curve(self._bench, most=most, only=only)

    def last_report(self) -> TeachReport | None:
        """What the newest lane that was put in place changed, as it was measured then."""
        return lane_steps.last_report(self._bench)

    def compare(self, one: int, other: int, *, most: int = 200) -> list[VersionChange]:
        """Samples whose suggested labels (logit above 0) differ, the largest change first."""
        return pack_facts.compare(self._bench, one, other, most=most)

    def put_back(self) -> list[TeachReport]:
        """Put lanes back that the log has in use and the live version lacks, from their files."""
        return lane_steps.put_back(self._bench)

    # --- change ------------------------------------------------------------------------------

    def mute(self, pack: str, is_muted: bool) -> None:
        """Leave a pack's labels out of suggestions and queue, or take them in again."""
        pack_facts.labels_of(self._bench, pack)
        muted = self.muted() - {pack} | ({pack} if is_muted else set())
        self._bench.store.set(MUTED, sorted(muted))

    def move(
        self, labels: Sequence[int | str], pack: str, *, who: str = "me", op: str | None = None
    ) -> None:
        """Put labels into a pack, new or old; one undo takes it back.

        They keep the lane that serves them until the pack they are in now is taught.
        """
        found = [self._bench.store.find_label(label).id for label in labels]
        self._bench.store.move_labels(found, pack, who=who, op=op)
        self._bench.see_stored(changes=True)

    def rename(self, pack: str, new: str, *, who: str = "me", op: str | None = None) -> None:
        """Give a pack another name, which merges it into a pack that has it."""
        is_merged = new in pack_facts.packs_of(self._bench.board)
        labels = [label.id for label in pack_facts.labels_of(self._bench, pack)]
        self.move(labels, new, who=who, op=op)
        muted = self.muted()
        if pack in muted:
            # What was hidden stays hidden; a pack it is merged into is not hidden by it.
            self._bench.store.set(MUTED, sorted(muted - {pack} | (set() if is_merged else {new})))
        taught = pack_facts.counts_when_taught(self._bench.store)
        if pack in taught and new not in taught:
            taught[new] = taught.pop(pack)
            self._bench.store.set(TAUGHT, taught)

    def remove(self, pack: str, *, who: str = "me", op: str | None = None) -> None:
        """Remove a pack with all its labels; one undo brings them and their verdicts back."""
        self._bench.store.remove_labels(
            [label.id for label in pack_facts.labels_of(self._bench, pack)], who=who, op=op
        )
        self._bench.see_stored(changes=True)

    def drop(self, pack: str) -> int:
        """Take the lane of a pack away, as a new version; its heads stay. Returns the version."""
        return lane_steps.drop(self._bench, pack)

    def revert(self, version: int) -> int:
        """Make an earlier version the live one again, as a new version; returns its number.

        Verdicts stay in the log. Those given after `version` are learned again label by label, as
        soon as a label gets a new verdict.
        """
        return lane_steps.revert(self._bench, version)

    # --- take home ---------------------------------------------------------------------------

    def export(self, pack: str, dest: str | Path) -> Path:
        """Write the lane of a pack with the heads that read it as one safetensors file."""
        return lane_travel.export(self._bench, pack, dest)

    def export_version(self, version: int, dest: str | Path) -> Path:
        """Write what a version learned, heads and calibration, as one safetensors file.

        Lanes go home one by one, see `export`; the file names the digests of those it reads.
        """
        return lane_travel.export_version(self._bench, version, dest)

    def take(
        self, source: str | Path | bytes, *, pack: str = "", who: str = "me", name: str = ""
    ) -> TeachReport:
        """Import a lane file as a pack: labels are found by name, or added.

        Args:
            source: a path, or the content.
            pack: where labels that are new go; the name in the file by default. Known labels
                stay in the pack they are in, and are served by this lane from now on.
            who: adds the labels.
            name: of the content, for messages.

        Raises:
            BadInputError: no lane file, cut off, of another encoder or learner; nothing changed.
        """
        return lane_travel.take(self._bench, source, pack=pack, who=who, name=name)
