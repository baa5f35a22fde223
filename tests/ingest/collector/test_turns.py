"""A tenant with many large requests does not keep another one waiting for all of them."""

from __future__ import annotations

import asyncio

from ingest.collector.turns import Turns


def test_a_calm_tenant_is_served_after_one_request_of_a_hot_one() -> None:
    async def serve() -> list[str]:
        turns, served = Turns(), list[str]()

        async def ask(tenant_id: str) -> None:
            async with turns.turn(tenant_id):
                served.append(tenant_id)

        hot = [asyncio.create_task(ask("hot")) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.gather(*hot, ask("calm"), ask("calm"))
        await ask("hot")  # nobody holds a turn any more
        return served

    served = asyncio.run(serve())
    assert served.count("hot") == 21
    assert [n for n, tenant in enumerate(served) if tenant == "calm"][1] <= 5


def test_a_turn_of_who_gave_up_goes_to_the_next() -> None:
    async def serve() -> None:
        turns = Turns()

        async def ask() -> None:
            async with turns.turn("acme"):
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[1:4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(ask(), timeout=5)

    asyncio.run(serve())
