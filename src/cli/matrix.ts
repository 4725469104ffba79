import { matrix as compute } from "../compat/matrix.ts";
import { policyOf } from "./explain.ts";
import { readHosts } from "./hosts.ts";
import { matrixPage } from "./matrix-page.ts";
import { renderMatrix } from "./render-matrix.ts";

export interface MatrixOptions {
	readonly hosts: readonly string[];
	readonly policy?: string;
	readonly format: string;
}

/** Shows every pair of hosts; a Neutron port is nobody's to give or to take. */
export async function matrix({ hosts, policy, format }: MatrixOptions): Promise<void> {
	const snapshots = await readHosts(hosts);
	const known = snapshots.map(({ host, devices }) => ({ host, devices: devices.filter(({ port }) => !port) }));
	const found = compute(known, policyOf(policy));
	const render = { json: () => `${JSON.stringify(found, null, 2)}\n`, html: () => matrixPage(found) };
	process.stdout.write(format === "json" || format === "html" ? render[format]() : renderMatrix(found));
}
