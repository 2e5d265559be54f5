package dev.rowbell.feedback;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The stages of a poll. Each has one poll at a time, and whoever enters one leaves the one before only then: so polls do not overtake each other,
 * and while the alerts of one are routed the next are taken and the last are filed. The thread that entered is the one that leaves.
 */
final class Stages {

    enum Stage {
        TAKING,
        ROUTING,
        FILING
    }

    private final Map<Stage, ReentrantLock> stages = new EnumMap<>(Stage.class);

    Stages() {
        for (Stage stage : Stage.values()) {
            stages.put(stage, new ReentrantLock(true));
        }
    }

    /** Waits until nobody is in it. */
    void enter(Stage stage) throws InterruptedException {
        stages.get(stage).lockInterruptibly();
        stages.forEach((other, lock) -> {
            if (other != stage && lock.isHeldByCurrentThread()) {
                lock.unlock();
            }
        });
    }

    /** Wherever this thread is. */
    void leave() {
        stages.values().forEach(lock -> {
            while (lock.isHeldByCurrentThread()) {
                lock.unlock();
            }
        });
    }
}
