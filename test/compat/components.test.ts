import fc from "fast-check";
import { expect, test } from "vitest";
import { componentsOf } from "../../src/compat/components.ts";

/** Everything that can be reached from a device, again and again until nothing is added. */
function reached(wants: readonly (readonly number[])[], start: number): readonly number[] {
	const members = new Set([start]);
	for (let size = 0; size < members.size; ) {
		size = members.size;
		const wanted = new Set([...members].flatMap((member) => wants[member] ?? []));
		wants.forEach((list, device) => {
			if (list.some((one) => wanted.has(one))) members.add(device);
		});
	}
	return [...members].sort((a, b) => a - b);
}

test("devices belong together when something wanted connects them", () => {
	const wishes = fc.array(fc.array(fc.nat(6), { maxLength: 3 }), { maxLength: 8 });
	fc.assert(
		fc.property(wishes, (wants) => {
			const devices = wants.map((_, index) => index);
			const components = componentsOf(devices, (device) => wants[device] ?? []);
			expect(components.flat().sort((a, b) => a - b)).toEqual(devices);
			for (const component of components) expect(component).toEqual(reached(wants, component[0] ?? -1));
		}),
	);
});
