"""The bench's task for stock RQ. Run as a program it enqueues; RQ's workers import it."""

from bench.meter import fill_or_time, work

__all__ = ["work"]

if __name__ == "__main__":
    from bench.workers import stock_enqueue

    fill_or_time(stock_enqueue())
