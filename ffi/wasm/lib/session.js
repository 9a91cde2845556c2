// A feed while it is shown.
import { Handle } from "./handle.js";
import { Block } from "./memory.js";
import { addressOf, candidateIndex } from "./ranker.js";
import { EventWriter } from "./state.js";
import { PocketrankError, Status } from "./status.js";

export class Session extends Handle {
  #events;

  constructor(ranker, request) {
    super();
    const { _memory: memory, _pkr: pkr, _detail: detail, _out: out } = ranker.library;
    const { model } = ranker;
    const at = addressOf(request, model);
    model.library._check(pkr.pkr_session_bytes(model._at, request.numCandidates, out));
    const bytes = memory.word(out);
    const block = new Block(memory, bytes);
    const status = pkr.pkr_session_begin(model._at, ranker._at, at, block.at, bytes, out, detail);
    if (status !== Status.OK) block.free();
    model.library._check(status, model);
    this.model = model;
    this.ranker = ranker;
    this.#events = new EventWriter(model);
    this._open(model.library, "session", memory.word(out), [block, this.#events], pkr.pkr_session_close);
  }

  feedback(event) {
    const { _pkr: pkr, _detail: detail } = this.library;
    const [model, session] = [this.model._at, this._at];
    this.library._check(pkr.pkr_session_feedback(model, session, this.#events.event(event), detail), this.model);
  }

  shown(candidate) {
    this.library._check(this.library._pkr.pkr_session_shown(this._at, candidateIndex(candidate)));
  }

  rerank(request, options) {
    const { _pkr: pkr, _detail: detail } = this.library;
    const [session, scratch] = [this._at, this.ranker._at];
    return this.ranker._rank(request, options, (at, result) =>
      pkr.pkr_session_rerank(this.model._at, session, scratch, at, result, detail),
    );
  }

  state() {
    const { _memory: memory, _pkr: pkr } = this.library;
    const { stateBytes } = this.model;
    const block = new Block(memory, Math.max(stateBytes, 1));
    try {
      this.library._check(pkr.pkr_session_state(this._at, block.at, stateBytes));
      return memory.bytes.slice(block.at, block.at + stateBytes);
    } finally {
      block.free();
    }
  }
}
