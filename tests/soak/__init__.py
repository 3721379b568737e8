"""The soak: many jobs of mixed kinds through a whole Jobyard, while its parts are killed, frozen, wiped and restarted.

plan ──► run ──► client (orders, submitted with retries under a key)   ──► accepted
             ├─► injector (faults, by a seeded schedule)               ──► faults by kind
             ├─► watch (jobs under way, memory)                        ──► memory over time
             └─► audit (the ledger and the mailbox, at the end)        ──► lost, doubled, p50, p99
"""
