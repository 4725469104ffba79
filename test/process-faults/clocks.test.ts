import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type Rig, startRig } from "../faults/rig.ts";
import { row, seconds } from "../faults/rows.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { lostOf, underLoad } from "./load.ts";

let rig: Rig;
beforeAll(async () => {
	rig = await startRig();
	await rig.caller.untilAnswered(rig.world.question(0));
});
afterEach(() => rig.check());
afterAll(() => rig?.close());

/** Debian's libfaketime, wherever it is for this machine. */
const FAKETIME = ["x86_64", "aarch64"]
	.map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
	.find((path) => existsSync(path));

for (const [name, jump] of [
	["forward", "+1d"],
	["back", "-1d"],
] as const) {
	row(77, `the wall clock jumps a day ${name}`, "no time-out early or late, no reconnect", async (measure) => {
		expect(FAKETIME, "libfaketime").toBeDefined();
		const clock = join(temporaryDirectory(), "clock");
		writeFileSync(clock, "+0\n");
		const env = {
			LD_PRELOAD: FAKETIME ?? "",
			FAKETIME_TIMESTAMP_FILE: clock,
			FAKETIME_NO_CACHE: "1",
			FAKETIME_DONT_FAKE_MONOTONIC: "1",
		};
		const options = { agent_timeout: 3 };
		const { service, caller, close } = await rig.apart({ options, launch: { env } });
		await caller.untilAnswered(rig.world.question(0));
		await sleep(2_500); // The snapshots that it knows are too old then.
		const took = await rig.fault(async () => {
			for (const proxy of rig.world.proxies) proxy.set({ lost: ["to-client"] });
			const start = performance.now();
			const { msgId } = await caller.ask(rig.world.question(0));
			await sleep(1_000);
			writeFileSync(clock, `${jump}\n`);
			const answer = await caller.answer(msgId, 15_000);
			for (const proxy of rig.world.proxies) {
				proxy.cut();
				proxy.heal();
			}
			expect(answer?.result).toMatchObject({ verdict: "unknown" });
			return (answer?.at ?? 0) - start;
		});
		// Two heartbeats of the connection, and the breaker's time.
		await sleep(8_000);
		const askings = await underLoad(caller, 50, rig.world.question, () => sleep(2_000));
		const days = new Set([...service.log.matchAll(/^(\d{4}-\d\d-\d\d) /gm)].map(([, day]) => day));
		const connections = service.log.split("connected to rabbit").length - 1;
		measure(`agent_timeout of 3 s after ${seconds(took)}, ${connections} connection, ${lostOf(askings)} lost`);
		expect(days.size).toBe(2);
		await close();
		expect(took).toBeGreaterThan(2_900);
		expect(took).toBeLessThan(4_000);
		expect(connections).toBe(1);
		expect(lostOf(askings)).toBe(0);
	});
}

row(78, "the event loop stands still for 2 s", "0 lost, no reconnect", async (measure) => {
	const options = { oslo_messaging_rabbit: { heartbeat_timeout_threshold: 5 } };
	const { service, caller, close } = await rig.apart({ options });
	await caller.untilAnswered(rig.world.question(0));
	await service.stall();
	const askings = await underLoad(caller, 50, rig.world.question, async () => {
		await sleep(500);
		service.inflict({ block: 2_000 });
		await sleep(4_000);
	});
	const stood = await service.stall();
	const slowest = Math.max(...askings.map(({ sentAt, answeredAt = 0 }) => answeredAt - sentAt));
	const connections = service.log.split("connected to rabbit").length - 1;
	measure(
		`stood ${seconds(stood)}: ${askings.length} calls, ${lostOf(askings)} lost, slowest ${seconds(slowest)}, ${connections} connection`,
	);
	await close();
	expect(stood).toBeGreaterThan(1_900);
	expect(lostOf(askings)).toBe(0);
	expect(connections).toBe(1);
});
