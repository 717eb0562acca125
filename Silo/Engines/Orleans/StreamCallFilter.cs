using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Runtime;
using Orleans.Serialization.Invocation;

namespace MultiCluster.Silo.Engines;

/// <summary>Counts the streams of our grains, which Orleans carries in calls of an extension: one that opens a stream, and many that wait for its next elements.</summary>
/// <remarks>The former is counted under the name of the method that streams; of the latter only errors are. Neither is timed: a stream waits for what happens.</remarks>
internal sealed class StreamCallFilter(GrainMetrics metrics) : IIncomingGrainCallFilter
{
    /// <inheritdoc/>
    public Task Invoke(IIncomingGrainCallContext context) => context.Request.GetInterfaceType() != typeof(IAsyncEnumerableGrainExtension)
        ? context.Invoke()
        : context.InterfaceMethod.Name switch
        {
            nameof(IAsyncEnumerableGrainExtension.StartEnumeration) => OpenAsync(context),
            nameof(IAsyncEnumerableGrainExtension.MoveNext) => GoOnAsync(context),
            nameof(IAsyncEnumerableGrainExtension.DisposeAsync) => CloseAsync(context),
            _ => context.Invoke(),
        };

    private async Task OpenAsync(IIncomingGrainCallContext context)
    {
        MethodFigures? figures = context.Request.GetArgument(1) is IInvokable stream ? metrics.Of(context.Grain, context.TargetId, stream.GetMethod()) : null;
        if (figures is null)
        {
            await context.Invoke();
            return;
        }

        try
        {
            await context.Invoke();
        }
        catch (Exception e)
        {
            figures.Failed(e);
            throw;
        }

        (EnumerationResult status, object? value) = Step(context);
        if (status.HasFlag(EnumerationResult.Error))
        {
            figures.Failed((Exception)value!);
        }
        else if (status.HasFlag(EnumerationResult.Canceled))
        {
            figures.Cancelled();
        }
        else
        {
            figures.Answered();
            if (!status.HasFlag(EnumerationResult.Completed))
            {
                OpenStreams.Of(context.TargetContext).Add((Guid)context.Request.GetArgument(0)!, figures);
            }
        }
    }

    private static async Task GoOnAsync(IIncomingGrainCallContext context)
    {
        await context.Invoke();
        (EnumerationResult status, object? value) = Step(context);
        bool goesOn = status is EnumerationResult.Heartbeat or EnumerationResult.Element or EnumerationResult.Batch;
        if (!goesOn
            && OpenStreams.Of(context.TargetContext).Take((Guid)context.Request.GetArgument(0)!) is { } figures
            && status.HasFlag(EnumerationResult.Error))
        {
            figures.Broke((Exception)value!);
        }
    }

    private static Task CloseAsync(IIncomingGrainCallContext context)
    {
        OpenStreams.Of(context.TargetContext).Take((Guid)context.Request.GetArgument(0)!);
        return context.Invoke();
    }

    private static (EnumerationResult Status, object? Value) Step(IIncomingGrainCallContext context) => ((EnumerationResult, object?))context.Result!;

    /// <summary>Which method the streams of one activation come from. Belongs to its turns.</summary>
    private sealed class OpenStreams
    {
        // Readers that vanish without a word leave their streams here until the activation ends. Beyond this many, nobody asks whose they were.
        private const int Max = 10_000;

        private readonly Dictionary<Guid, MethodFigures> _streams = [];

        public static OpenStreams Of(IGrainContext activation)
        {
            if (activation.GetComponent<OpenStreams>() is { } known)
            {
                return known;
            }

            var streams = new OpenStreams();
            activation.SetComponent(streams);
            return streams;
        }

        public void Add(Guid id, MethodFigures figures)
        {
            if (_streams.Count >= Max)
            {
                _streams.Clear();
            }

            _streams[id] = figures;
        }

        public MethodFigures? Take(Guid id) => _streams.Remove(id, out MethodFigures? figures) ? figures : null;
    }
}
