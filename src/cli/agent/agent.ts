import { fileURLToPath } from "node:url";
import { readOverlays } from "../../agent/overlay-file.ts";
import { Scanner } from "../../agent/scanner.ts";
import { startAgentServer, startMonitoringServer } from "../../agent/server.ts";
import { openSysfs, SysfsError } from "../../agent/sysfs.ts";
import { AgentTls } from "../../agent/tls.ts";
import { isLoopback } from "../../http/listen.ts";
import { logFormat } from "../../log/format.ts";
import { createLogger, type LevelledLogger } from "../../log/logger.ts";
import { ConfigError } from "../../yaml.ts";
import { endOnCrash } from "../daemon/life.ts";
import { Reloads } from "../daemon/reload.ts";
import { untilSignal } from "../daemon/signals.ts";
import { reportState } from "../daemon/state-report.ts";
import { serviceManager } from "../daemon/systemd.ts";
import { UsageError } from "../exit-codes.ts";
import { build } from "../version.ts";
import {
	type AgentOptions,
	agentConfigFiles,
	agentHelp,
	metricsListenOf,
	readAgentOptions,
	tlsFilesOf,
} from "./options.ts";
import { standardError } from "./writer.ts";

const SCAN_CHILD = fileURLToPath(new URL("../../agent/scan-child.js", import.meta.url));

/** `novacompat agent`: serves this host's snapshot until a signal. */
export async function agent(words: readonly string[]): Promise<void> {
	const options = readAgentOptions(words);
	if (options === "help" || options === "version") {
		process.stdout.write(options === "help" ? agentHelp() : `${build().version}\n`);
		return;
	}
	const { host, listen, debug, detailed, scan_interval: interval } = options;
	const { sysfs_root: sysfsRoot, libvirt_dir: libvirtDir, overlay_dir: overlayDir } = options;
	const { libvirt_config_dir: libvirtConfigDir } = options;
	const write = standardError((dropped) => log.warning(`${dropped} lines of this log were lost since the start`));
	const log: LevelledLogger = createLogger("novacompat.agent", debug, write, logFormat(options));
	// A root that is no sysfs and an overlay with a mistake are mistakes of the start, not of every scan.
	asConfigured(words, () => openSysfs(sysfsRoot));
	await readOverlays(overlayDir);
	const metricsListen = asConfigured(words, () => metricsListenOf(options));
	const files = asConfigured(words, () => tlsFilesOf(options));
	const tls = files && new AgentTls(files, host, log);
	if (!tls && !isLoopback(listen.address))
		log.warning(`plain HTTP on ${listen.address}: everybody there can read this`);
	if (metricsListen && !isLoopback(metricsListen.address))
		log.warning(`plain HTTP on ${metricsListen.address}: everybody there can read metrics and health`);
	endOnCrash(log);
	const reloads = reloadsOf(words, options, log);
	process.on("SIGHUP", () => reloads.request());
	process.on("SIGUSR2", () => reportState({ scans: scanner.state(), reloads: { ...reloads.counts } }, log));
	const stopped = untilSignal();
	const manager = serviceManager(process.env, (text) => log.warning(text));
	const scanner = new Scanner({
		places: { host, sysfsRoot, libvirtDir, libvirtConfigDir, overlayDir },
		interval,
		program: SCAN_CHILD,
		log,
	});
	const latest = () => scanner.latest();
	const known = { latest, scans: () => scanner.counts, detailed, tls, log };
	const server = await startAgentServer({ listen, ...known });
	const monitoring =
		metricsListen &&
		(await startMonitoringServer(metricsListen, server, known).catch(async (error: unknown) => {
			// A server that listens would keep the process.
			await server.close();
			throw error;
		}));
	log.info(`agent of ${host} listening on ${server.url}`);
	if (monitoring) log.info(`metrics and health of it on ${monitoring.url}`);
	scanner.start();
	manager.ready();
	await stopped;
	manager.stopping();
	await Promise.all([server.close(), monitoring?.close(), scanner.stop()]);
}

/** What a file says wrongly is a mistake of the configuration, after which systemd does not try again; a word is one of the usage. */
function asConfigured<T>(words: readonly string[], operation: () => T): T {
	try {
		return operation();
	} catch (error) {
		const isMistake = error instanceof UsageError || error instanceof SysfsError;
		if (!isMistake || agentConfigFiles(words).length === 0) throw error;
		throw new ConfigError(error.message, { cause: error });
	}
}

/** New certificates and overlays are taken without being asked; of the options the log level is. */
function reloadsOf(words: readonly string[], options: AgentOptions, log: LevelledLogger): Reloads<AgentOptions> {
	return new Reloads({
		config: options,
		files: () => agentConfigFiles(words),
		read: () => {
			const read = readAgentOptions(words);
			return typeof read === "string" ? options : read;
		},
		prepare: [
			(next) => {
				tlsFilesOf(next);
				metricsListenOf(next);
				return () => {
					log.level = next.debug ? "debug" : "info";
				};
			},
		],
		isMutable: (option) => option === "debug",
		log,
	});
}
