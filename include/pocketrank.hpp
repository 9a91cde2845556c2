// pocketrank for C++17 and later: the C ABI of pocketrank.h with owners, spans and results. Header-only; link libpocketrank.
//
//   auto model = pocketrank::model::open(bytes);                    // borrowed, owned or mapped (pocketrank/file.hpp)
//   if (!model) return show_server_order(model.error());
//   auto ranker = pocketrank::ranker::create(*model);               // one a thread
//   pocketrank::request request(*model, 40);                        // used again for each screen
//   pocketrank::ranking ranking;
//   request.time(now).ids("user", user).texts("item", items).floats("age", ages);
//   if (ranker->rank(request, ranking)) show(ranking.order());
//   else show_server_order();                                       // whatever went wrong
//
// - No ranking logic: memory goes in and out. Model and formula are for any number of threads, all else for one at a time.
// - Handles move and are not copied. Used after a move they answer null_pointer, after `close` stale; neither crashes.
// - Errors are results (result.hpp says why): with or without exceptions and RTTI.
// - Copies are made of names, of `texts` and of formulas' bytes; everything else is borrowed for the length of a call, and the
//   bytes of a model until it is closed.
#ifndef POCKETRANK_HPP
#define POCKETRANK_HPP

#include "pocketrank/formula.hpp"
#include "pocketrank/model.hpp"
#include "pocketrank/ranker.hpp"
#include "pocketrank/request.hpp"
#include "pocketrank/rerank.hpp"
#include "pocketrank/result.hpp"
#include "pocketrank/session.hpp"
#include "pocketrank/span.hpp"
#include "pocketrank/status.hpp"

#endif
