package dev.rowbell.web;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Optional;

/** The addresses that begin with the same bits, as {@code 10.0.0.0/8}; of a single address, all of its bits. Safe for many threads. */
final class Network {

    private static final String IPV4 = "(\\d{1,3}\\.){3}\\d{1,3}";
    private static final String IPV6 = "[0-9a-fA-F:.]*:[0-9a-fA-F:.]*";

    private final byte[] first;
    private final int bits;

    private Network(byte[] first, int bits) {
        this.first = first;
        this.bits = bits;
    }

    /** @throws IllegalArgumentException where it is none: its message says why */
    static Network of(String text) {
        String[] parts = text.split("/", 2);
        byte[] first = address(parts[0])
                .orElseThrow(() -> new IllegalArgumentException(
                        text + " is no address and no network: write 10.0.0.5, 10.0.0.0/8 or fd00::/8"));
        int all = first.length * 8;
        int bits = parts.length == 1 ? all : parts[1].matches("\\d{1,3}") ? Integer.parseInt(parts[1]) : 0;
        if (bits < 1 || bits > all) {
            throw new IllegalArgumentException(
                    "%1$s: give from 1 to %2$d bits, as %3$s/%2$d".formatted(text, all, parts[0]));
        }
        // 10.0.0.5/8 may be meant as one address: taken as a network, it would trust all of 10.0.0.0/8
        if (!Arrays.equals(first, begin(first, bits))) {
            throw new IllegalArgumentException(
                    "%s is an address within a network: write %s alone, or the first address of the network"
                            .formatted(text, parts[0]));
        }
        return new Network(first, bits);
    }

    /** @param address an address in figures, also one of IPv4 that is written as one of IPv6 */
    boolean contains(String address) {
        return address(address)
                .filter(given -> given.length == first.length && Arrays.equals(first, begin(given, bits)))
                .isPresent();
    }

    /** Four bytes also for {@code ::ffff:10.0.0.5}. */
    private static Optional<byte[]> address(String text) {
        try {
            // of a name the DNS would be asked
            return text.matches(IPV4 + "|" + IPV6)
                    ? Optional.of(InetAddress.getByName(text).getAddress())
                    : Optional.empty();
        } catch (UnknownHostException e) {
            return Optional.empty();
        }
    }

    /** The first bits, and zeros. */
    private static byte[] begin(byte[] address, int bits) {
        byte[] begin = new byte[address.length];
        for (int i = 0; i * 8 < bits; i++) {
            int kept = Math.min(8, bits - i * 8);
            begin[i] = (byte) (address[i] & 0xff00 >> kept);
        }
        return begin;
    }
}
