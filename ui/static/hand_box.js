// A box drawn by hand on a picture, in shares of it: drag it, or move it with the arrow keys, size
// it with Shift and arrows, and take it with Enter. Label marks with it, Explore searches by it.

const STEP = 0.02, LEAST = 0.004;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const within = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * Who extends it says what is done with a box [x, y, w, h]: `show(box | null)` draws it, `drawn()`
 * is called when a pointer has finished one, `take(box)` when it is meant; `first()` is where one
 * begins that is drawn with keys.
 */
export class HandBox {
  constructor() { this.box = null; this.start = null; }

  /** A pointer goes down: true if it is ours from now on. */
  down(spot) {
    this.start = { x: within(spot.x, 0, 1), y: within(spot.y, 0, 1) };
    return true;
  }

  move(spot) {
    const { start } = this;
    if (!start) return;
    const x = within(spot.x, 0, 1), y = within(spot.y, 0, 1);
    this.put([Math.min(start.x, x), Math.min(start.y, y), Math.abs(x - start.x), Math.abs(y - start.y)]);
  }

  up(spot) {
    this.move(spot);
    this.start = null;
    if (this.box && this.box[2] > LEAST && this.box[3] > LEAST) this.drawn();
    else this.put(null);
  }

  key(event) {
    const way = ARROWS[event.key];
    if (way) {
      const [x, y, w, h] = this.box ?? this.first();
      if (!this.box) this.put([x, y, w, h]);
      else if (event.shiftKey) this.put([x, y, within(w + STEP * way[0], STEP, 1 - x), within(h + STEP * way[1], STEP, 1 - y)]);
      else this.put([within(x + STEP * way[0], 0, 1 - w), within(y + STEP * way[1], 0, 1 - h), w, h]);
      return true;
    }
    if (event.key === 'Enter') { if (this.box) this.#take(); else this.put(this.first()); return true; }
    return false;
  }

  put(box) { this.box = box; this.show(box); }

  first() { return [0.375, 0.375, 0.25, 0.25]; }
  drawn() { this.#take(); }

  // In numbers short enough for an address; rounding leaves it inside.
  #take() {
    const points = this.box.map(value => Number(value.toFixed(5)));
    points[2] = Math.min(points[2], 1 - points[0]);
    points[3] = Math.min(points[3], 1 - points[1]);
    this.take(points);
  }
}
