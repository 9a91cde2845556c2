#!/usr/bin/env python3
"""A feed whose users have several interests: the same log for the same arguments on every machine (standard library only).

    interests.py OUT.csv [ROWS] [SEED]

Items are of one of 40 topics, which the log does not have. A user has 4 of them. A session of some 8 requests is about one of
the four (drawn anew for each): of the 10 items of a request each is from the session's topic with probability 0.15, from another
interest of the user with 0.25, and from any topic otherwise. An item of the session's topic is clicked with probability 0.55,
of another interest with 0.30, of any other topic with 0.07. So what tells whether an item will be clicked is whether the user
clicked items like it, lately above all; the items clicked on average say little.
"""

import random
import sys

TOPICS, ITEMS, INTERESTS, CANDIDATES = 40, 600, 4, 10


def main(path, rows=300_000, seed=1):
    draw = random.Random(int(seed))
    of_topic = [[] for _ in range(TOPICS)]
    topic = [draw.randrange(TOPICS) for _ in range(ITEMS)]
    for item, t in enumerate(topic):
        of_topic[t].append(item)
    users = max(int(rows) // 800, 1)
    interests = [draw.sample(range(TOPICS), INTERESTS) for _ in range(users)]
    active = [draw.choice(of) for of in interests]
    with open(path, "w", encoding="utf-8") as out:
        out.write("request_id,user_id,time,item_id,click\n")
        for request in range(int(rows) // CANDIDATES):
            user = draw.randrange(users)
            if draw.random() < 1 / 8:
                active[user] = draw.choice(interests[user])
            for item in (pick(draw, active[user], interests[user], of_topic) for _ in range(CANDIDATES)):
                t = topic[item]
                p = 0.55 if t == active[user] else 0.30 if t in interests[user] else 0.07
                click = int(draw.random() < p)
                out.write(f"{request},{user},{1_700_000_000 + 20 * request},{item},{click}\n")


def pick(draw, active, interests, of_topic):
    x = draw.random()
    topic = active if x < 0.15 else draw.choice(interests) if x < 0.40 else draw.randrange(TOPICS)
    return draw.choice(of_topic[topic] or of_topic[active])


if __name__ == "__main__":
    main(*sys.argv[1:])
