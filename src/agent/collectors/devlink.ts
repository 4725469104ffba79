import type { Reading } from "../reading.ts";
import { commandOf, handlesOf, objectOf, textOf } from "../tools.ts";
import type { Draft, Host } from "./collector.ts";

/**
 * Adds `fw_version` of the PF that a VF belongs to: `versions.running` of `devlink dev info`, where mlx5 calls it
 * `fw.version` (Documentation/networking/devlink/mlx5.rst) and pds_core `fw` (drivers/net/ethernet/amd/pds_core/devlink.c).
 */
export function firmwareVersions({ told }: Host): (device: Draft) => void {
	const info = handlesOf(told, "devlink dev info", "info");
	const source = commandOf("devlink dev info");
	function versionOf(pf: string): Reading {
		if (info === undefined || "errno" in info) return info;
		const running = objectOf(objectOf(info.get(`pci/${pf}`)?.["versions"])?.["running"]);
		const version = textOf(running?.["fw.version"] ?? running?.["fw"]);
		return version === undefined ? undefined : { value: version };
	}
	return ({ parent, found }) => {
		if (parent !== undefined) found.record("fw_version", versionOf(parent), source);
	};
}
