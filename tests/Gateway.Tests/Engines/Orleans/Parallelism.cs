// Each of these tests starts a silo or several and waits for them far longer than it computes; by default as many run at once as there are processors.
[assembly: CollectionBehavior(MaxParallelThreads = 4)]
