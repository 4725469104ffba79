/** Where it is said what becomes of the agents. */
export interface Log {
	info(message: string): void;
	warning(message: string): void;
	critical(message: string): void;
}
