"""Prints KubeSkippy's alerts from where it left off: python3 subscribe.py [cluster]"""

import asyncio, json, os, sys

import nats


async def main(cluster: str) -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    alerts = await client.jetstream().pull_subscribe(
        f"kubeskippy.{cluster}.alerts.>",
        stream=f"kubeskippy-{cluster}-alerts",
        durable="example-python",  # the server remembers how far this name has read
    )
    while True:
        try:
            messages = await alerts.fetch(batch=10, timeout=30)
        except nats.errors.TimeoutError:
            continue  # nothing happened
        for message in messages:
            event = json.loads(message.data)
            print(event["time"], event["type"], event["subject"], event["data"]["message"], sep="  ", flush=True)
            await message.ack()  # only now is it read


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "default"))
