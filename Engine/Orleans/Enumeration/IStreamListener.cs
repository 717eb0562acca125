using System.Reflection;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Is told how the streams from grains begin and break; call filters do not see them. A service of the silo's host, or none.</summary>
/// <remarks>Called within turns of the grain. Must not throw.</remarks>
public interface IStreamListener
{
    /// <summary>A stream has given its first elements, or ended before any.</summary>
    /// <param name="grain">Where it comes from.</param>
    /// <param name="method">The method of the grain's interface.</param>
    /// <param name="failure">Why it ended; null where it did not fail.</param>
    /// <param name="isCancelled">Whether its reader no longer wants it.</param>
    void OnOpened(IGrainContext grain, MethodInfo method, Exception? failure, bool isCancelled);

    /// <summary>A stream that was opened well has failed; not where its reader left.</summary>
    void OnBroken(IGrainContext grain, MethodInfo method, Exception failure);
}
