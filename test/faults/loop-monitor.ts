import { monitorEventLoopDelay } from "node:perf_hooks";

// Preloaded into the process under test: SIGUSR2 asks how long its event loop has stood still at most.
const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
process.on("SIGUSR2", () => {
	const longest = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
	delay.reset();
	process.stderr.write(`event loop stood still for ${longest.toFixed(0)} ms\n`);
});
