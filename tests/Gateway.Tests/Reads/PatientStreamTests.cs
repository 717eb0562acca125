using MultiCluster.Gateway.Reads;
using MultiCluster.TestSupport;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>A stream whose grain is lost must not hold up whoever wants another.</summary>
public sealed class PatientStreamTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_TheOtherEndDoesNotAnswer_IsLeftBehindAfterASecond(bool listensToItsToken)
    {
        var time = new ManualTimeProvider();
        using var cancel = new CancellationTokenSource();
        var source = new Source(listensToItsToken ? cancel.Token : CancellationToken.None);
        var stream = new PatientStream<int>(source, time);
        ValueTask<bool> next = stream.MoveNextAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await next);

        Task disposed = stream.DisposeAsync().AsTask();
        Assert.False(disposed.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        await disposed.WaitAsync(Soon);
        Assert.Equal(listensToItsToken, source.IsToldToEnd);   // never while it moves
    }

    [Fact]
    public async Task Dispose_TheOtherEndAnswers_IsOver()
    {
        var source = new Source(CancellationToken.None);
        var stream = new PatientStream<int>(source, new ManualTimeProvider());
        source.Ended.SetResult();
        await stream.DisposeAsync().AsTask().WaitAsync(Soon);
        Assert.True(source.IsToldToEnd);
    }

    /// <summary>Gives nothing, and ends when the test says so.</summary>
    private sealed class Source(CancellationToken stop) : IAsyncEnumerator<int>
    {
        public int Current => 0;

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsToldToEnd { get; private set; }

        public async ValueTask<bool> MoveNextAsync()
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stop);
            return false;
        }

        public async ValueTask DisposeAsync()
        {
            IsToldToEnd = true;
            await Ended.Task;
        }
    }
}
