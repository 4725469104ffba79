/** Devices that have something they may want in common, directly or over others, belong together; each device once, in order. */
export function componentsOf<D>(
	devices: readonly D[],
	wantedBy: (device: D) => Iterable<unknown>,
): readonly (readonly D[])[] {
	if (devices.length < 2) return devices.length === 0 ? [] : [devices];
	const owners = new Map<unknown, Set<D>>();
	const components = new Set<Set<D>>();
	for (const device of devices) {
		const wanted = [...wantedBy(device)];
		const joined = new Set([device]);
		for (const component of new Set(wanted.map((one) => owners.get(one)))) {
			if (component === undefined) continue;
			components.delete(component);
			for (const member of component) joined.add(member);
			for (const [one, owner] of owners) if (owner === component) owners.set(one, joined);
		}
		for (const one of wanted) owners.set(one, joined);
		components.add(joined);
	}
	return [...components].map((component) => devices.filter((device) => component.has(device)));
}
