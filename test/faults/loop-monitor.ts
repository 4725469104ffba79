import { monitorEventLoopDelay } from "node:perf_hooks";

// Preloaded into the process under test: SIGUSR2 asks how long its event loop has stood still at most, a message does harm.
const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
process.on("SIGUSR2", () => {
	const longest = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
	delay.reset();
	process.stderr.write(`event loop stood still for ${longest.toFixed(0)} ms\n`);
});

type Harm = { readonly block?: number; readonly crash?: "exception" | "rejection" };
process.on("message", ({ block = 0, crash }: Harm) => {
	for (const end = performance.now() + block; performance.now() < end; );
	if (crash === "rejection") void Promise.reject(new Error("a rejection that nobody handles"));
	if (crash === "exception")
		setImmediate(() => {
			throw new Error("an exception that nobody catches");
		});
});
// Nobody waits for harm.
process.channel?.unref();
