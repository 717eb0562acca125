using MultiCluster.Engine.Actors;

namespace Orleans.Runtime;

/// <summary>How the results of a streaming grain method travel.</summary>
public static class AsyncEnumerableExtensions
{
    /// <summary>Fetches at most so many elements at a time; the default is 100.</summary>
    /// <remarks>A batch holds what the grain has ready, so a slow producer is not waited for. Other enumerables are returned as they are.</remarks>
    public static IAsyncEnumerable<T> WithBatchSize<T>(this IAsyncEnumerable<T> self, int maxBatchSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        return self is GrainEnumerable<T> remote ? remote.WithBatchSize(maxBatchSize) : self;
    }
}
