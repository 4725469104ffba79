import { matrix as compute } from "../compat/matrix.ts";
import { readHosts } from "./hosts.ts";
import { type OutputOptions, print } from "./output.ts";
import { policyOf } from "./policy.ts";
import { renderMatrix } from "./render/matrix.ts";
import { matrixPage } from "./render/matrix-page.ts";

export interface MatrixOptions extends OutputOptions {
	readonly hosts: readonly string[];
	readonly policy?: string;
}

/** Shows every pair of hosts; a Neutron port is nobody's to give or to take. */
export async function matrix({ hosts, policy, ...options }: MatrixOptions): Promise<void> {
	const snapshots = await readHosts(hosts);
	const known = snapshots.map(({ host, devices }) => ({ host, devices: devices.filter(({ port }) => !port) }));
	const found = compute(known, policyOf(policy));
	const columns = ["device_type", "from", "to", "verdict", "warnings", "code", "reason"];
	const rows = found.classes.flatMap(({ device_type, rows }) =>
		rows
			.flatMap(({ cells }) => cells)
			.map(({ source_host, target_host, verdict, warnings, code = null, message = null }) => [
				...[device_type, source_host, target_host],
				...[verdict, warnings, code, message],
			]),
	);
	const text = () => (options.format === "html" ? matrixPage(found) : renderMatrix(found));
	print({ kind: "list", data: found, text, columns, rows }, options);
}
