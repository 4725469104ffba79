import { statSync } from "node:fs";
import { join } from "node:path";
import { attempt } from "../../agent/bounded-file.ts";
import type { Overlay } from "../../agent/overlay.ts";
import { isOverlayDirMissing, readOverlays } from "../../agent/overlay-file.ts";
import { DEFAULT_LIBVIRT_CONFIG_DIR, DEFAULT_LIBVIRT_DIR } from "../../agent/places.ts";
import { openSysfs, SysfsError } from "../../agent/sysfs.ts";
import { lintTlsFiles, TlsError, type TlsFiles } from "../../agent/tls.ts";
import { isLoopback } from "../../http/listen.ts";
import { USUAL_STALE_AFTER_S } from "../../snapshot/limits.ts";
import { ConfigError } from "../../yaml.ts";
import { UsageError } from "../exit-codes.ts";
import { type AgentOptions, metricsListenOf, readAgentFiles, tlsFilesOf } from "./options.ts";

const DAY_MS = 86_400_000;

type PlaceOf = ReturnType<typeof readAgentFiles>["placeOf"];

/** What is odd or unsafe about a configuration of the agent, each with its place; what it would not start with is a ConfigError. */
export async function lintAgent(files: readonly string[]): Promise<readonly string[]> {
	const { options, placeOf } = readAgentFiles(files);
	const tls = tlsOf(options, placeOf);
	placed(placeOf(["sysfs_root"]), () => openSysfs(options.sysfs_root));
	placed(placeOf(["metrics_listen"]), () => metricsListenOf(options));
	const warnings = [
		...insecure(options, tls, placeOf),
		...openMetrics(options, placeOf),
		...(tls ? certificate(tls, options, placeOf) : []),
		...libvirt(options, placeOf),
		...overlays(options, placeOf),
		...interval(options, placeOf),
	];
	const read = await readOverlays(options.overlay_dir);
	return [...warnings, ...read.flatMap((overlay) => stillToCome(overlay, options))];
}

function tlsOf(options: AgentOptions, placeOf: PlaceOf): TlsFiles | undefined {
	const named = (["tls_cert", "tls_key", "tls_client_ca"] as const).find((name) => options[name] !== undefined);
	return placed(placeOf([named ?? "listen"]), () => tlsFilesOf(options));
}

function placed<T>(place: string, operation: () => T): T {
	try {
		return operation();
	} catch (error) {
		if (!(error instanceof UsageError || error instanceof SysfsError)) throw error;
		throw new ConfigError(`${place}: ${error.message}`, { cause: error });
	}
}

function insecure(
	{ allow_insecure, listen }: AgentOptions,
	tls: TlsFiles | undefined,
	placeOf: PlaceOf,
): readonly string[] {
	if (!allow_insecure) return [];
	const place = placeOf(["allow_insecure"]);
	if (tls) return [`${place}: allow_insecure is not needed: there is TLS`];
	if (isLoopback(listen.address)) return [`${place}: allow_insecure is not needed: ${listen.address} is loopback`];
	return [
		`${place}: allow_insecure is in use: everybody who reaches ${listen.address} can read what this host has, or pass for it`,
	];
}

function openMetrics({ metrics_listen: metrics }: AgentOptions, placeOf: PlaceOf): readonly string[] {
	if (!metrics || isLoopback(metrics.address)) return [];
	return [
		`${placeOf(["metrics_listen"])}: plain HTTP on ${metrics.address}: everybody there can read metrics and health`,
	];
}

/** Where somebody has named another one than the default. */
function libvirt({ libvirt_dir, libvirt_config_dir }: AgentOptions, placeOf: PlaceOf): readonly string[] {
	const rows = [
		["libvirt_dir", libvirt_dir, DEFAULT_LIBVIRT_DIR, "every device looks free"],
		[
			"libvirt_config_dir",
			libvirt_config_dir,
			DEFAULT_LIBVIRT_CONFIG_DIR,
			"devices of instances that are shut off look free",
		],
	] as const;
	return rows
		.filter(([, path, usual]) => path !== usual && isNoDirectory(path))
		.map(
			([option, path, , what]) =>
				`${placeOf([option])}: ${option} ${path} is no directory: expected one of *.xml, without it ${what}`,
		);
}

/** One that may not be looked at might be. */
function isNoDirectory(path: string): boolean {
	const status = attempt(() => statSync(path, { throwIfNoEntry: false }));
	return status === undefined || !("errno" in status || status.isDirectory());
}

function overlays({ overlay_dir }: AgentOptions, placeOf: PlaceOf): readonly string[] {
	if (!isOverlayDirMissing(overlay_dir)) return [];
	return [`${placeOf(["overlay_dir"])}: overlay_dir ${overlay_dir} is not there: expected a directory of *.yaml`];
}

/** No mistake for a scan, which would give no snapshot where the clock is wrong. Somewhere it is tomorrow already. */
function stillToCome({ file, date }: Overlay, { overlay_dir }: AgentOptions): readonly string[] {
	if (Date.parse(date) <= Date.now() + DAY_MS) return [];
	return [
		`${join(overlay_dir, file)}: date is ${date}, which is still to come: expected when the values were looked at`,
	];
}

/** The service has an option for it, and another file. */
function interval({ scan_interval }: AgentOptions, placeOf: PlaceOf): readonly string[] {
	if (scan_interval <= USUAL_STALE_AFTER_S) return [];
	const text = `scan_interval is ${scan_interval} s: between two scans the host is stale to a service whose snapshot_stale_after is no longer`;
	return [`${placeOf(["scan_interval"])}: ${text} (${USUAL_STALE_AFTER_S} s by default)`];
}

function certificate(tls: TlsFiles, { host }: AgentOptions, placeOf: PlaceOf): readonly string[] {
	try {
		return lintTlsFiles(tls, host).map((warning) => {
			const option = warning.includes(`${tls.clientCa} `) ? "tls_client_ca" : "tls_cert";
			return `${placeOf([option])}: ${warning}`;
		});
	} catch (error) {
		if (!(error instanceof TlsError)) throw error;
		const named = [["tls_cert", tls.certificate] as const, ["tls_client_ca", tls.clientCa] as const];
		const [option] = named.find(([, file]) => error.message.startsWith(`${file} `)) ?? ["tls_key"];
		throw new ConfigError(`${placeOf([option])}: ${error.message}`, { cause: error });
	}
}
