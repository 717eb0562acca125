using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace MultiCluster.Engine.Tests.Actors;

internal interface ITurnGrain : IGrainWithStringKey
{
    Task<int> Count();

    Task Hold(string name);

    Task<int> Overlaps(int steps);

    [AlwaysInterleave]
    Task<int> Peek();

    [ReadOnly]
    Task<int> Read(string name);

    ValueTask<string> Key();

    ValueTask Nothing();

    Task<string> CallBack(ITurnGrain via, bool allowed);

    Task<string> CallBackOf(ITurnGrain first);

    Task<string> Answer();

    [OneWay]
    Task Fire(string name);

    [ResponseTimeout("00:00:03")]
    Task HoldShortly(string name);
}

internal class TurnGrain(Probe probe) : Grain, ITurnGrain
{
    private int _count;
    private int _inside;
    private int _overlaps;

    public Task<int> Count() => Task.FromResult(++_count);

    public async Task Hold(string name)
    {
        probe.Signal(name + " entered");
        await probe.Seen(name);
    }

    public Task HoldShortly(string name) => Hold(name);

    // Each step leaves the turn and comes back: another call in between would see _inside above 0.
    public async Task<int> Overlaps(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            if (++_inside > 1)
            {
                _overlaps++;
            }

            int before = _count;
            if (i == 0)
            {
                await Task.Yield();
                if (before != _count)
                {
                    _overlaps++;
                }
            }

            _count = before + 1;
            _inside--;
        }

        return _overlaps;
    }

    public Task<int> Peek() => Task.FromResult(_count);

    public async Task<int> Read(string name)
    {
        probe.Signal($"{name} read {++_inside}");
        await probe.Seen(name);
        return _inside--;
    }

    public ValueTask<string> Key() => ValueTask.FromResult(this.GetPrimaryKeyString());

    public ValueTask Nothing() => ValueTask.CompletedTask;

    public async Task<string> CallBack(ITurnGrain via, bool allowed)
    {
        if (!allowed)
        {
            return await via.CallBackOf(this.AsReference<ITurnGrain>());
        }

        using (RequestContext.AllowCallChainReentrancy())
        {
            return await via.CallBackOf(this.AsReference<ITurnGrain>());
        }
    }

    public Task<string> CallBackOf(ITurnGrain first) => first.Answer();

    public Task<string> Answer() => Task.FromResult("answered");

    public Task Fire(string name)
    {
        probe.Signal(name);
        throw new InvalidOperationException("Nobody hears this.");
    }
}

internal interface IReentrantGrain : IGrainWithIntegerKey
{
    Task<int> Meet(string name);
}

[Reentrant]
internal sealed class ReentrantGrain(Probe probe) : Grain, IReentrantGrain
{
    private int _inside;

    public async Task<int> Meet(string name)
    {
        if (++_inside == 2)
        {
            probe.Signal(name);
        }

        await probe.Seen(name);
        return _inside;
    }
}

internal interface IWorkerGrain : IGrainWithIntegerKey
{
    Task<string> Work(string name, int expected);
}

[StatelessWorker(3)]
internal sealed class WorkerGrain(Probe probe) : Grain, IWorkerGrain
{
    private static readonly string[] Names = ["first", "second", "third", "fourth"];

    public async Task<string> Work(string name, int expected)
    {
        probe.Note(name);
        if (probe.Journal.Length == expected)
        {
            probe.Signal("all work");
        }

        await probe.Seen("all work");
        return Names.Length > 0 ? GrainContext.ActivationId.ToString() : "";
    }
}

internal interface ITaskSchedulerGrain : IGrainWithGuidKey
{
    Task<string> WhereContinuationsRun();

    Task<(Guid Key, bool Same)> Identity();
}

internal sealed class TaskSchedulerGrain : Grain, ITaskSchedulerGrain
{
    public async Task<string> WhereContinuationsRun()
    {
        TaskScheduler mine = TaskScheduler.Current;
        await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, CancellationToken.None);
        bool afterDelay = TaskScheduler.Current == mine;
        await Task.Run(static () => { });
        bool afterRun = TaskScheduler.Current == mine;
        bool inNew = await Task.Factory.StartNew(
            () => TaskScheduler.Current == mine, CancellationToken.None, TaskCreationOptions.None, TaskScheduler.Current);
        bool inPool = await Task.Run(() => TaskScheduler.Current == mine);
        return $"{mine != TaskScheduler.Default} {afterDelay} {afterRun} {inNew} {inPool}";
    }

    public Task<(Guid Key, bool Same)> Identity()
    {
        ITaskSchedulerGrain self = this.AsReference<ITaskSchedulerGrain>();
        ITaskSchedulerGrain other = GrainFactory.GetGrain<ITaskSchedulerGrain>(this.GetPrimaryKey());
        return Task.FromResult((this.GetPrimaryKey(), self.Equals(other) && self.GetHashCode() == other.GetHashCode()));
    }
}
