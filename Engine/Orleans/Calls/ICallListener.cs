using System.Reflection;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Is told how calls of grains end, and how streams from them begin and break. A service of the silo's host, or none.</summary>
/// <remarks>Called within turns of the grain. Must not throw. Unlike a call filter it costs a call no allocation, and sees streams.</remarks>
public interface ICallListener
{
    /// <summary>A call has ended; its caller does not know it yet.</summary>
    /// <param name="grain">What was called.</param>
    /// <param name="method">The method of the grain's interface.</param>
    /// <param name="time">From the start of its turn.</param>
    /// <param name="failure">What its caller gets; null where it has succeeded.</param>
    /// <param name="isCancelled">Whether it failed because its caller no longer wants it.</param>
    void OnEnded(IGrainContext grain, MethodInfo method, TimeSpan time, Exception? failure, bool isCancelled);

    /// <summary>A stream has given its first elements, or ended before any.</summary>
    /// <param name="grain">Where it comes from.</param>
    /// <param name="method">The method of the grain's interface.</param>
    /// <param name="failure">Why it ended; null where it did not fail.</param>
    /// <param name="isCancelled">Whether its reader no longer wants it.</param>
    void OnOpened(IGrainContext grain, MethodInfo method, Exception? failure, bool isCancelled);

    /// <summary>A stream that was opened well has failed; not where its reader left.</summary>
    void OnBroken(IGrainContext grain, MethodInfo method, Exception failure);
}
