// What is opened must be closed, once; and nothing that was closed reaches the library again, whose pointers would lead to
// memory that others use by then.
import { PocketrankError, Status } from "./status.js";

export class Handle {
  #at;
  #blocks;
  #close;
  #what;

  /** `at`: address of the handle; `blocks`: memory that it needs; `close`: the library's function, if it has one. */
  _open(library, what, at, blocks, close) {
    this.library = library;
    this.#what = what;
    this.#at = at;
    this.#blocks = blocks;
    this.#close = close;
  }

  /** Address for the library; an error once closed. */
  get _at() {
    if (this.#at === 0) throw new PocketrankError(Status.STALE, `this ${this.#what} is closed`);
    if (this.#at === undefined) throw new PocketrankError(Status.STALE, "made by `new`, not by the library");
    return this.#at;
  }

  get closed() {
    return !this.#at;
  }

  /** Gives all memory back. Does nothing the second time. */
  close() {
    if (this.closed) return;
    const at = this.#at;
    this.#at = 0;
    try {
      if (this.#close !== undefined) this.library._check(this.#close(at));
    } finally {
      for (const block of this.#blocks) block.free();
    }
  }
}
