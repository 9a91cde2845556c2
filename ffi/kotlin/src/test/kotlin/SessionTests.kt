import dev.pocketrank.Event
import dev.pocketrank.FeatureKind
import dev.pocketrank.IdType
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Session
import dev.pocketrank.Status
import dev.pocketrank.UserState
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue

val sessionTests = listOf(
    Test("a session orders what is left with the bits of fresh requests, in every golden model") {
        var feeds = 0
        Gold.each { model, requests ->
            val most = requests.maxOf { it.candidates }
            val ranker = Ranker(model, most)
            val other = Ranker(model, most)
            val session = Session(ranker)
            val (begun, stateless, fresh) = List(3) { Request(model) }
            val state = UserState(model)
            val event = Event()
            for (asked in requests.take(30)) {
                if (session.begin(asked.fill(begun)) != null) continue
                asked.fill(stateless).state(null as UserState?)
                val left = (0 until asked.candidates).toMutableList()
                for (step in 0..3) {
                    if (left.isEmpty()) break
                    assertNull(session.state(state))
                    val byRank = other.rank(asked.fill(fresh).only(left.toIntArray()).state(state))
                    when (val bySession = session.rerank(stateless)) {
                        is RankResult.Refused -> {
                            assertEquals((byRank as RankResult.Refused).failure.status, bySession.failure.status)
                            break
                        }
                        is RankResult.Ranked -> {
                            assertEquals(byRank.ranking().bits(), bySession.ranking.bits())
                            val best = bySession.ranking.order[0]
                            assertNull(session.shown(best))
                            assertEquals(Status.BAD_INDEX, session.shown(best)?.status)
                            left.remove(best)
                        }
                    }
                    if (model.labels.isNotEmpty()) assertNull(session.feedback(event.begin(0, 2_000_000_000L + step, 1f)))
                    feeds++
                }
            }
            session.close()
            assertEquals(Status.STALE, (session.rerank(stateless) as RankResult.Refused).failure.status)
        }
        assertTrue(feeds > 500, "$feeds")
    },
    Test("feedback with keys changes a session's state as an event changes a state") {
        Gold.each { model, requests ->
            if (model.labels.isEmpty()) return@each
            val ranker = Ranker(model, requests.maxOf { it.candidates })
            val session = Session(ranker)
            val asked = requests.first { session.begin(it.fill(Request(model)).state(null as UserState?)) == null }
            val event = Event()
            val (mine, its) = List(2) { UserState(model) }
            for (round in 0..3) {
                event.begin(round % model.labels.size, 2_000_000_000L + 60 * round, 1f)
                for (it in model.features) {
                    if (it.isDerived || it.kind != FeatureKind.ID) continue
                    if (it.idType == IdType.INT) event.id(it.index, 3L + round) else event.text(it.index, "c$round")
                }
                assertEquals(mine.apply(event), session.feedback(event))
                assertNull(session.state(its))
                assertEquals(mine.bytes.toList(), its.bytes.toList())
            }
            assertTrue(model.stateBytes == 0 || mine.bytes.toList() != UserState(model).bytes.toList() || asked.candidates == 0)
        }
    },
    Test("a session that was not begun, or whose beginning failed, answers STALE, and begins again") {
        Gold.one { _, ranker, request ->
            val session = Session(ranker)
            assertEquals(Status.STALE, (session.rerank(request) as RankResult.Refused).failure.status)
            assertEquals(Status.STALE, session.shown(0)?.status)
            assertEquals(Status.BAD_OPTION, session.begin(request.only(intArrayOf(0)))?.status)
            assertEquals(Status.STALE, session.shown(0)?.status)
            assertNull(session.begin(request.only(null)))
            assertNull(session.shown(0))
            assertNull(session.begin(request))
            assertNull(session.shown(0))
            assertEquals(Status.BUFFER_TOO_SMALL, Session(ranker, 2).begin(request)?.status)
            session.close()
            session.close()
            assertEquals(Status.STALE, session.begin(request)?.status)
        }
    },
)
