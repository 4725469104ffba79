import { readOverlays } from "../agent/overlay-file.ts";
import { takeSnapshot } from "../agent/scan.ts";
import { startAgentServer } from "../agent/server.ts";
import { openSysfs } from "../agent/sysfs.ts";
import { askHost } from "../agent/tools.ts";
import { createLogger } from "../log.ts";
import { UsageError } from "./exit-codes.ts";
import { untilSignal } from "./signals.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly overlayDir: string;
}

export interface AgentOptions extends SnapshotOptions {
	/** `address:port`; port 0 takes a free one. */
	readonly listen: string;
	readonly debug: boolean;
}

/** `novacompat agent`: serves this host's snapshot until a signal. */
export async function agent({ listen, debug, ...scan }: AgentOptions): Promise<void> {
	const log = createLogger("novacompat.agent", debug, (line) => process.stderr.write(line));
	// A root that is no sysfs and an overlay with a mistake are mistakes of the start, not of every request.
	openSysfs(scan.sysfsRoot);
	readOverlays(scan.overlayDir);
	const stopped = untilSignal();
	const server = await startAgentServer({ listen: parseListen(listen), snapshot: () => takeSnapshot(scan), log });
	log.info(`agent of ${scan.host} listening on ${server.url}`);
	await stopped;
	await server.close();
}

/** `novacompat snapshot`: prints what the agent would serve. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	const told = await askHost(options.sysfsRoot);
	process.stdout.write(`${JSON.stringify(takeSnapshot({ ...options, told }), null, 2)}\n`);
}

function parseListen(text: string): { address: string; port: number } {
	const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
	const address = bracketed ?? plain;
	if (address === undefined || Number(port) > 65535) {
		throw new UsageError(`--listen is ${JSON.stringify(text)}, expected address:port`);
	}
	return { address, port: Number(port) };
}
