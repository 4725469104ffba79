import type { Delivery } from "../../src/messaging/transport.ts";

/** Deliveries in the order of their arrival. */
export class Inbox {
	readonly deliveries: Delivery[] = [];
	readonly #onArrival = new Set<() => void>();

	/** Takes a delivery and leaves it as it is. */
	readonly hold = (delivery: Delivery): void => {
		this.deliveries.push(delivery);
		for (const wake of this.#onArrival) wake();
	};

	/** Takes a delivery and acknowledges it. */
	readonly ack = (delivery: Delivery): void => {
		delivery.ack();
		this.hold(delivery);
	};

	get texts(): readonly string[] {
		return this.deliveries.map(({ body }) => body.toString());
	}

	/** The delivery with this number, counted from 0, as soon as it is there. */
	async at(index: number): Promise<Delivery> {
		for (;;) {
			const delivery = this.deliveries[index];
			if (delivery) return delivery;
			await new Promise<void>((resolve) => {
				const wake = () => {
					this.#onArrival.delete(wake);
					resolve();
				};
				this.#onArrival.add(wake);
			});
		}
	}
}
