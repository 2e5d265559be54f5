package dev.rowbell.web;

/**
 * The page of a browser that makes a request, as the headers say.
 *
 * @param origin the header {@code Origin}, which a browser sends with all that can change something; null where there is none
 * @param site the header {@code Sec-Fetch-Site}, or null
 * @param destination the header {@code Sec-Fetch-Dest}, or null
 */
record RequestingPage(String origin, String site, String destination) {

    /** Whether no page of a browser has sent it: of what can change something, a browser says from where it comes. */
    boolean isNone() {
        return origin == null && site == null;
    }

    /** Whether a page of this origin has sent it. */
    boolean isOf(String own) {
        return own.equalsIgnoreCase(origin) && (site == null || site.equals("same-origin"));
    }

    /**
     * Whether the page of another site makes this request by itself, as for an image, which could keep the database busy. A link on such a page is
     * followed: the user sees the answer, and the page cannot read it.
     */
    boolean isOfAnotherSite() {
        return site != null && !site.matches("none|same-origin") && !"document".equals(destination);
    }
}
