using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Storage;

/// <summary>Keeps <c>metadata.managedFields</c>: who set which field.</summary>
internal interface IFieldTracker
{
    /// <summary>Notes in <paramref name="updated"/> what a create or update by a manager changed.</summary>
    /// <param name="resource">What it is.</param>
    /// <param name="live">The state before; null for a create.</param>
    /// <param name="updated">The state after; its managedFields are replaced.</param>
    /// <param name="manager">Name of the manager.</param>
    /// <param name="subresource">Subresource that was written; empty for the object itself.</param>
    /// <param name="now">Time for the entry.</param>
    void Track(ApiResource resource, JsonObject? live, JsonObject updated, string manager, string subresource, string now);
}

/// <summary>Tracks nothing: objects have no managedFields.</summary>
internal sealed class NoFieldTracker : IFieldTracker
{
    public void Track(ApiResource resource, JsonObject? live, JsonObject updated, string manager, string subresource, string now) =>
        updated.Section("metadata").Remove("managedFields");
}
