import type { Sysfs } from "../sysfs.ts";

/** Links of a PF to its VFs. */
export const VF_LINK = /^virtfn\d+$/;

/**
 * The number of a VF within its PF, from 0, as the links `virtfn<N>` of the PF have it
 * (Documentation/ABI/testing/sysfs-bus-pci). The links of a PF are read once in a scan.
 */
export function vfNumbers(sysfs: Sysfs): (pf: string, vf: string) => number | undefined {
	const known = new Map<string, ReadonlyMap<string, number>>();
	function numbersOf(pf: string): ReadonlyMap<string, number> {
		const node = sysfs.directory(`bus/pci/devices/${pf}`);
		const links = (node?.list() ?? []).filter((name) => VF_LINK.test(name));
		return new Map(
			links.flatMap((name) => {
				const address = node?.link(name);
				return address !== undefined && "value" in address
					? [[address.value, Number(name.slice("virtfn".length))]]
					: [];
			}),
		);
	}
	return (pf, vf) => {
		const numbers = known.get(pf) ?? numbersOf(pf);
		known.set(pf, numbers);
		return numbers.get(vf);
	};
}
