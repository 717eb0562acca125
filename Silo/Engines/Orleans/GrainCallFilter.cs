using System.Reflection;
using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Serialization.Invocation;

namespace MultiCluster.Silo.Engines;

/// <summary>Measures every call of our grains on the side of the grain; streams are the business of <see cref="StreamCallFilter"/>.</summary>
/// <remarks>The time begins with the call's turn; what it waited for that before shows in the mailbox.</remarks>
internal sealed class GrainCallFilter(GrainMetrics metrics, TimeProvider time) : IIncomingGrainCallFilter
{
    /// <inheritdoc/>
    public Task Invoke(IIncomingGrainCallContext context)
    {
        MethodInfo method = context.InterfaceMethod;
        return typeof(IGrain).IsAssignableFrom(method.DeclaringType) && metrics.Of(context.Grain, context.TargetId, method) is { } figures
            ? MeasureAsync(context, figures)
            : context.Invoke();
    }

    private async Task MeasureAsync(IIncomingGrainCallContext context, MethodFigures figures)
    {
        long start = time.GetTimestamp();
        try
        {
            await context.Invoke();
            figures.Answered();
        }
        catch (OperationCanceledException) when (IsCancelledByCaller(context.Request))
        {
            figures.Cancelled();
            throw;
        }
        catch (Exception e)
        {
            figures.Failed(e);
            throw;
        }
        finally
        {
            figures.Took(time.GetElapsedTime(start));
        }
    }

    // A cancellation that the caller did not ask for is a failure like any other.
    private static bool IsCancelledByCaller(IInvokable request)
    {
        for (int i = 0; i < request.GetArgumentCount(); i++)
        {
            if (request.GetArgument(i) is CancellationToken { IsCancellationRequested: true })
            {
                return true;
            }
        }

        return false;
    }
}
