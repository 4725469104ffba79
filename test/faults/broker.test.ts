import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { GUEST } from "../support/rabbitmq.ts";
import { unanswered } from "./history.ts";
import { Process } from "./processes.ts";
import { FaultProxy } from "./proxy.ts";
import { type Rig, startRig } from "./rig.ts";
import { row, seconds } from "./rows.ts";

/** Bounds of the fault matrix, in milliseconds. */
const BACK = 5_000;
const NOTICED = 16_000;
const ONE_ATTEMPT = 3_500;
const BOTH_WAYS = ["to-server", "to-client"] as const;

/** Kills of a loaded broker, at random moments; `FAULT_SEED` replays them. */
const ROUNDS = Number(process.env["FAULT_ROUNDS"] ?? 2);
const SEED = Number(process.env["FAULT_SEED"] ?? Date.now() % 1_000_000);
const CALLS = 200;

let rig: Rig;
beforeAll(async () => {
	// No snapshot is kept, so that checks take their time.
	rig = await startRig({ snapshot_max_age: 0 });
	await rig.caller.untilAnswered(rig.world.question(0));
});
afterEach(() => rig.check());
afterAll(() => rig?.close());

const QUEUES = ["migration_compat", "migration_compat.faults", "compute.cmp-02"];

/** Consumers of the queues that only the service reads. */
async function consumers(): Promise<Readonly<Record<string, number>>> {
	const lines = (await rig.broker.ctl("list_queues", "name", "consumers", "--no-table-headers")).trim().split("\n");
	const counts = lines.map((line) => line.split("\t")).map(([name = "", count]) => [name, Number(count)] as const);
	return Object.fromEntries(counts.filter(([name]) => QUEUES.includes(name)));
}

async function oneConsumerEach(): Promise<void> {
	const expected = Object.fromEntries(QUEUES.map((name) => [name, 1]));
	await expect.poll(consumers, { timeout: 20_000, interval: 500 }).toEqual(expected);
}

for (const pause of [0, 5, 60]) {
	row(
		`1, ${pause} s`,
		`broker killed while idle, started after ${pause} s`,
		"back <= 5 s, 1 consumer",
		async (measure) => {
			await rig.fault(async () => {
				await rig.broker.kill();
				await sleep(pause * 1_000);
				await rig.broker.start();
			});
			const back = await rig.back();
			measure(`back ${seconds(back)}`);
			await oneConsumerEach();
			expect(back).toBeLessThan(BACK);
		},
	);
}

row(2, "broker killed while 200 checks run", "0 exits, 0 wrong verdicts", async (measure) => {
	const random = randomNumbers(SEED);
	let lost = 0;
	let asked = 0;
	for (let round = 0; round < ROUNDS; round++) {
		const before = rig.caller.asked.length;
		// Slow agents, so that checks are under way at any moment.
		for (const agent of rig.world.proxies) agent.set({ latency: 100 });
		const asking = Promise.all(Array.from({ length: CALLS }, (_, index) => rig.caller.ask(rig.world.question(index))));
		await sleep(random() * 600);
		await rig.fault(async () => {
			await rig.broker.kill();
			await rig.broker.start();
			await asking;
		});
		for (const agent of rig.world.proxies) agent.heal();
		expect(await rig.back()).toBeLessThan(BACK);
		await sleep(2_000);
		const history = {
			// What asks afterwards whether it is back is none of them.
			asked: rig.caller.asked.slice(before, before + CALLS),
			answers: rig.caller.answers,
			faults: [],
			text: "",
			secrets: [],
		};
		lost += unanswered(history).length;
		asked += CALLS;
		expect(rig.service.running).toBe(true);
		expect(rig.service.log).not.toMatch(/unhandled|uncaught|novacompat: bug/i);
		rig.check();
	}
	measure(
		`${ROUNDS} rounds, seed ${SEED}: 0 exits, ${asked - lost} of ${asked} answered, the others went with the broker`,
	);
});

row(3, "clean restart (stop_app, start_app)", "back <= 5 s", async (measure) => {
	await rig.fault(async () => {
		await rig.broker.ctl("stop_app");
		await rig.broker.ctl("start_app");
	});
	const back = await rig.back();
	measure(`back ${seconds(back)}`);
	await oneConsumerEach();
	expect(back).toBeLessThan(BACK);
});

/** From the first line of the log about a fault that begins now. */
async function noticed(): Promise<number> {
	const start = performance.now();
	const before = rig.service.log.length;
	while (!/ (WARNING|ERROR) /.test(rig.service.log.slice(before))) {
		if (performance.now() - start > 60_000) throw new Error("not noticed");
		await sleep(50);
	}
	return performance.now() - start;
}

row(4, "broker hung (SIGSTOP)", "noticed <= 16 s, back <= 5 s", async (measure) => {
	const detected = await rig.fault(async () => {
		rig.broker.pause();
		try {
			return await noticed();
		} finally {
			rig.broker.resume();
		}
	});
	const back = await rig.back();
	measure(`noticed ${seconds(detected)}, back ${seconds(back)}`);
	await oneConsumerEach();
	expect(detected).toBeLessThan(NOTICED);
	expect(back).toBeLessThan(BACK);
});

row(5, "broker hung while connecting", "one attempt <= 3.5 s, then the next host", async (measure) => {
	const [hung, healthy] = [await FaultProxy.start(rig.broker.port), await FaultProxy.start(rig.broker.port)];
	hung.set({ lost: BOTH_WAYS });
	const hosts = [hung, healthy].map(({ port }) => `${GUEST}@127.0.0.1:${port}`);
	const serve = () => Process.serve({ transport_url: `rabbit://${hosts.join(",")}/`, host: "second" }).ready();
	let service = await serve();
	try {
		// The first host is a random one, as in Python.
		for (; hung.attempts.length === 0; service = await serve()) await service.end();
		const [attempt = 0] = hung.attempts;
		const next = healthy.attempts.find((at) => at > attempt) ?? Number.NaN;
		// A short break lies between them, of 0.2 to 0.6 s.
		measure(`next host after ${seconds(next - attempt)}`);
		expect(next - attempt).toBeLessThan(ONE_ATTEMPT + 600);
	} finally {
		await service.end();
		hung.close();
		healthy.close();
	}
	await oneConsumerEach();
});

/** where connections are cut while they are set up, forty of each kind */
const CUTS = [
	[6, "connection reset after frame 1 to 40 of the set-up", (step: number) => ({ frames: step })],
	["6, inside", "connection reset inside a frame, each 23 bytes", (step: number) => ({ bytes: 23 * step })],
] as const;
for (const [number, fault, cutAt] of CUTS) {
	row(number, fault, "40 of 40 recover", async (measure) => {
		const cuts = Array.from({ length: 40 }, (_, index) => cutAt(index + 1));
		const proxies = await Promise.all(cuts.map(() => FaultProxy.start(rig.broker.port)));
		// The first connection consumes, the second one publishes.
		for (const [index, proxy] of proxies.entries()) proxy.cutNext(cuts[index] ?? {}, cuts[index] ?? {});
		const servers = proxies.map(({ port }, index) => ({
			url: `rabbit://${GUEST}@127.0.0.1:${port}/`,
			topic: `echo_${number}_${index}`,
		}));
		const echo = Process.echo(servers);
		try {
			const start = performance.now();
			const questions = servers.map(({ topic }) => ({ key: topic, fields: { method: "echo", args: { x: topic } } }));
			// Some are cut only by what follows the set-up.
			for (let call = 0; call < 6; call++) {
				await Promise.all(questions.map((question) => rig.back(30_000, rig.caller, question)));
			}
			measure(`40 of 40 within ${seconds(performance.now() - start)}`);
			expect(echo.running).toBe(true);
			expect(echo.log).not.toMatch(/unhandled|uncaught/i);
		} finally {
			await echo.end();
			for (const proxy of proxies) proxy.close();
		}
	});
}

row("6, half", "connection closed in one direction only", "back <= 5 s, 1 consumer", async (measure) => {
	rig.proxy.halfClose();
	const back = await rig.back();
	measure(`back ${seconds(back)}`);
	await oneConsumerEach();
	expect(back).toBeLessThan(BACK);
});

/** directions in which nothing arrives */
const PARTITIONS = [
	[7, "partition: packets are lost both ways", BOTH_WAYS],
	[8, "one-way partition: we send and receive nothing", ["to-client"]],
	["8, the other way", "one-way partition: we receive and cannot send", ["to-server"]],
] as const;
for (const [number, fault, lost] of PARTITIONS) {
	row(number, fault, "noticed <= 16 s, back <= 5 s, 1 consumer", async (measure) => {
		const detected = await rig.fault(async () => {
			rig.proxy.set({ lost });
			try {
				const after = await noticed();
				// The broker notices too, and nothing may be left of the old connections when the network is back.
				await sleep(3_000);
				return after;
			} finally {
				rig.proxy.heal();
			}
		});
		const back = await rig.back();
		measure(`noticed ${seconds(detected)}, back ${seconds(back)}`);
		await oneConsumerEach();
		expect(detected).toBeLessThan(NOTICED);
		expect(back).toBeLessThan(BACK);
	});
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function randomNumbers(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}
