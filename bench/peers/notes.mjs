// What a peer notes for the benchmark, as Stamp and Reads in bench/java do.
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';

export const up = () => console.log('plain is up');

/** The clock is that of System.nanoTime: CLOCK_MONOTONIC. */
export const stamp = (id) => appendFileSync('stamps.txt', `${id} ${process.hrtime.bigint()}\n`);

let first = 0n;
let cpuBefore = 0;
let count = 0;
const ids = new Set();

/** Notes which rows were read; writes it down after each `every` of them. */
export function read(id, every) {
  if (first === 0n) {
    const { user, system } = process.cpuUsage();
    cpuBefore = Math.round((user + system) / 1000);
    first = process.hrtime.bigint();
  }
  ids.add(id);
  if (++count % every === 0) {
    writeFileSync('reads.next', `${first} ${process.hrtime.bigint()} ${count} ${ids.size} 0 ${cpuBefore}`);
    renameSync('reads.next', 'reads.txt');
  }
}
