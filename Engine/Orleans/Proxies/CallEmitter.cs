using System.Reflection;
using System.Reflection.Emit;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Emits what belongs to one method of a grain interface: the class of its calls, and the reference's method that sends one.</summary>
internal sealed class CallEmitter
{
    private readonly MethodInfo _method;
    private readonly int _index;
    private readonly Type[] _parameters;
    private readonly Type _baseClass;
    private readonly TypeBuilder _call;
    private readonly FieldBuilder[] _fields;
    private readonly ConstructorBuilder _constructor;

    public CallEmitter(ModuleBuilder module, MethodInfo method, int index)
    {
        _method = method;
        _index = index;
        _parameters = method.GetParameters().Select(p => p.ParameterType).ToArray();
        _baseClass = BaseClassFor(method.ReturnType);
        _call = module.DefineType($"{method.Name}_{index}", TypeAttributes.Public | TypeAttributes.Sealed | TypeAttributes.Class, _baseClass);
        _fields = _parameters.Select((type, i) => _call.DefineField(FieldName(i), type, FieldAttributes.Public)).ToArray();
        _constructor = _call.DefineDefaultConstructor(MethodAttributes.Public);
    }

    private bool Streams => _baseClass.IsGenericType && _baseClass.GetGenericTypeDefinition() == typeof(GrainEnumerable<>);

    public static string FieldName(int parameter) => $"Argument{parameter}";

    public static bool CanReturn(Type type) => type == typeof(void) || type == typeof(Task) || type == typeof(ValueTask)
        || (type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(Task<>) || type.GetGenericTypeDefinition() == typeof(ValueTask<>)
            || type.GetGenericTypeDefinition() == typeof(IAsyncEnumerable<>)));

    public Type EmitCall()
    {
        EmitInvoke();
        EmitToken();
        return _call.CreateType();
    }

    /// <summary>The reference's method: new call, fill in the arguments, send.</summary>
    public void EmitSend(TypeBuilder reference)
    {
        MethodBuilder body = reference.DefineMethod(
            $"{_method.DeclaringType!.FullName}.{_method.Name}",
            MethodAttributes.Private | MethodAttributes.Virtual | MethodAttributes.Final | MethodAttributes.HideBySig | MethodAttributes.NewSlot,
            _method.ReturnType,
            _parameters);
        ILGenerator il = body.GetILGenerator();
        il.Emit(OpCodes.Newobj, _constructor);
        for (int i = 0; i < _fields.Length; i++)
        {
            il.Emit(OpCodes.Dup);
            il.Emit(OpCodes.Ldarg, i + 1);
            il.Emit(OpCodes.Stfld, _fields[i]);
        }

        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldc_I4, _index);
        il.Emit(OpCodes.Callvirt, BaseMethod(
            Streams ? "Bind" : _method.ReturnType == typeof(void) ? "SendAndForget" : IsTask(_method.ReturnType) ? "Send" : "SendValue"));

        il.Emit(OpCodes.Ret);
        reference.DefineMethodOverride(body, _method);
    }

    private static bool IsTask(Type type) => typeof(Task).IsAssignableFrom(type);

    private static Type BaseClassFor(Type returned) => !returned.IsGenericType ? typeof(VoidCall)
        : (returned.GetGenericTypeDefinition() == typeof(IAsyncEnumerable<>) ? typeof(GrainEnumerable<>) : typeof(ResultCall<>))
            .MakeGenericType(returned.GenericTypeArguments);

    private MethodInfo BaseMethod(string name) => _baseClass.GetMethod(name)!;

    // (grain[, token]) => wrap(((IInterface)grain).Method(Argument0, …))
    private void EmitInvoke()
    {
        MethodInfo invoke = BaseMethod("InvokeMethod");
        ILGenerator il = Override(invoke).GetILGenerator();
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Castclass, _method.DeclaringType!);
        for (int i = 0; i < _fields.Length; i++)
        {
            if (Streams && _parameters[i] == typeof(CancellationToken))
            {
                il.Emit(OpCodes.Ldarg_2);
                continue;
            }

            il.Emit(OpCodes.Ldarg_0);
            il.Emit(OpCodes.Ldfld, _fields[i]);
        }

        il.Emit(OpCodes.Callvirt, _method);
        if (_method.ReturnType == typeof(void))
        {
            LocalBuilder done = il.DeclareLocal(typeof(ValueTask));
            il.Emit(OpCodes.Ldloca, done);
            il.Emit(OpCodes.Initobj, typeof(ValueTask));
            il.Emit(OpCodes.Ldloc, done);
        }
        else if (IsTask(_method.ReturnType))
        {
            il.Emit(OpCodes.Newobj, invoke.ReturnType.GetConstructor([_method.ReturnType])!);
        }

        il.Emit(OpCodes.Ret);
    }

    private void EmitToken()
    {
        int parameter = Array.IndexOf(_parameters, typeof(CancellationToken));
        if (parameter < 0)
        {
            return;
        }

        PropertyInfo token = _baseClass.GetProperty("Token")!;
        ILGenerator get = Override(token.GetMethod!).GetILGenerator();
        get.Emit(OpCodes.Ldarg_0);
        get.Emit(OpCodes.Ldfld, _fields[parameter]);
        get.Emit(OpCodes.Ret);
        if (Streams)
        {
            return;
        }

        ILGenerator set = Override(token.SetMethod!).GetILGenerator();
        set.Emit(OpCodes.Ldarg_0);
        set.Emit(OpCodes.Ldarg_1);
        set.Emit(OpCodes.Stfld, _fields[parameter]);
        set.Emit(OpCodes.Ret);
        ILGenerator has = Override(_baseClass.GetProperty("HasToken")!.GetMethod!).GetILGenerator();
        has.Emit(OpCodes.Ldc_I4_1);
        has.Emit(OpCodes.Ret);
    }

    private MethodBuilder Override(MethodInfo inherited)
    {
        MethodBuilder method = _call.DefineMethod(
            inherited.Name,
            MethodAttributes.Public | MethodAttributes.Virtual | MethodAttributes.HideBySig,
            inherited.ReturnType,
            inherited.GetParameters().Select(p => p.ParameterType).ToArray());
        _call.DefineMethodOverride(method, inherited);
        return method;
    }
}
