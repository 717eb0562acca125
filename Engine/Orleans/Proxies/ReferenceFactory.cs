using System.Collections.Concurrent;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>What all references to one interface of one runtime share.</summary>
internal sealed class GrainReferenceShared(ActorRuntime runtime, Type interfaceType, GrainMethod[] methods)
{
    public ActorRuntime Runtime { get; } = runtime;

    public string InterfaceName { get; } = interfaceType.FullName ?? interfaceType.Name;

    public GrainInterfaceType InterfaceType { get; } = GrainInterfaceType.Create(interfaceType.FullName ?? interfaceType.Name);

    public GrainMethod[] Methods { get; } = methods;
}

/// <summary>Makes references. Thread-safe.</summary>
internal sealed class ReferenceFactory(ActorRuntime runtime)
{
    private readonly ConcurrentDictionary<Type, Maker> _makers = new();

    public GrainReference Create(GrainId id, Type interfaceType)
    {
        Maker maker = _makers.GetOrAdd(interfaceType, static (type, runtime) =>
        {
            ReferenceClass compiled = ReferenceCompiler.For(type);
            return new Maker(compiled, new GrainReferenceShared(runtime, type, compiled.Methods));
        }, runtime);
        return maker.Class.Create(maker.Shared, id);
    }

    private sealed record Maker(ReferenceClass Class, GrainReferenceShared Shared);
}
